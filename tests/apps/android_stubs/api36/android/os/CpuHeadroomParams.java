package android.os;

/** API 36. */
public final class CpuHeadroomParams {
    private CpuHeadroomParams() {}
}
