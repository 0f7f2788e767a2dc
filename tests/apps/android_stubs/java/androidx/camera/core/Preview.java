package androidx.camera.core;

public final class Preview extends UseCase {
    public void setSurfaceProvider(SurfaceProvider surfaceProvider) { throw new UnsupportedOperationException(); }

    public interface SurfaceProvider {}

    public static final class Builder {
        public Preview build() { throw new UnsupportedOperationException(); }
    }
}
