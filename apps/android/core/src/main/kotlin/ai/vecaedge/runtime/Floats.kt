package ai.vecaedge.runtime

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/**
 * A tensor that goes into a program: float32, contiguous, outside of the Java heap so that native code reads it
 * without a copy.
 *
 * @property shape sizes, outermost first.
 * @property data as many numbers, from position 0.
 */
class Floats(val shape: List<Int>, val data: FloatBuffer) {
    init {
        require(data.isDirect && data.capacity() == shape.fold(1, Int::times)) { "not a tensor of $shape" }
    }
}

/** Direct memory for so many numbers, in the processor's byte order; all of them 0. */
internal fun directFloats(count: Int): FloatBuffer =
    ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer()

/** The first numbers of a buffer, in the same memory. */
internal fun FloatBuffer.first(count: Int): FloatBuffer = duplicate().apply {
    clear()
    limit(count)
}.slice()

/** Direct memory that is used again for the next call, and grows when more is needed. */
internal class Scratch {
    private var memory = directFloats(0)

    /** The values as a tensor; it holds until the next call. */
    fun tensor(values: FloatArray, vararg shape: Int): Floats {
        if (memory.capacity() < values.size) memory = directFloats(values.size)
        val used = memory.first(values.size)
        used.put(values)
        return Floats(shape.toList(), memory.first(values.size))
    }
}
