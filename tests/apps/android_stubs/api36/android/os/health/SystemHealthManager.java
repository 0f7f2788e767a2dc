package android.os.health;

import android.os.CpuHeadroomParams;

/** API 24. */
public class SystemHealthManager {
    private SystemHealthManager() {}

    /** API 36; null for the device's own window. */
    public float getCpuHeadroom(CpuHeadroomParams params) { throw new UnsupportedOperationException(); }

    /** API 36. */
    public long getCpuHeadroomMinIntervalMillis() { throw new UnsupportedOperationException(); }
}
