package android.os;

import java.util.Map;
import java.util.concurrent.Executor;

public final class PowerManager {
    public boolean isPowerSaveMode() { throw new UnsupportedOperationException(); }

    /** API 29. */
    public int getCurrentThermalStatus() { throw new UnsupportedOperationException(); }

    /** API 30. */
    public float getThermalHeadroom(int forecastSeconds) { throw new UnsupportedOperationException(); }

    /** API 35. */
    public Map<Integer, Float> getThermalHeadroomThresholds() { throw new UnsupportedOperationException(); }

    /** API 36. */
    public interface OnThermalHeadroomChangedListener {
        void onThermalHeadroomChanged(
                float headroom, float forecastHeadroom, int forecastSeconds, Map<Integer, Float> thresholds);
    }

    /** API 36. */
    public void addThermalHeadroomListener(Executor executor, OnThermalHeadroomChangedListener listener) {
        throw new UnsupportedOperationException();
    }

    /** API 36. */
    public void removeThermalHeadroomListener(OnThermalHeadroomChangedListener listener) {
        throw new UnsupportedOperationException();
    }
}
