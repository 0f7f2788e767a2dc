package org.pytorch.executorch;

import java.nio.FloatBuffer;

public abstract class Tensor {
    public static Tensor fromBlob(FloatBuffer data, long[] shape) { throw new UnsupportedOperationException(); }

    public float[] getDataAsFloatArray() { throw new UnsupportedOperationException(); }
}
