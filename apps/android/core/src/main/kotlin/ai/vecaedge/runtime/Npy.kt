package ai.vecaedge.runtime

import ai.vecaedge.VecaError
import java.nio.ByteBuffer
import java.nio.ByteOrder

private val MAGIC = byteArrayOf(0x93.toByte()) + "NUMPY".toByteArray(Charsets.ISO_8859_1)

/** Before the numbers, at most; a longer header is not ours. */
private const val HEADER = 256

/**
 * The numbers of a NumPy array file (format 1.0: magic, version, header length, header, data); float32 of this shape,
 * little-endian, row by row, all finite. Throws [VecaError.File] for anything else.
 */
internal fun npy(name: String, bytes: ByteArray, shape: List<Int>): FloatArray {
    val count = shape.fold(1L) { product, size -> product * size }
    val start = bytes.size - 4 * count
    if (start !in 10..HEADER || !bytes.copyOf(6).contentEquals(MAGIC)) {
        throw VecaError.File("$name does not fit the manifest")
    }
    val header = String(bytes, 10, start.toInt() - 10, Charsets.ISO_8859_1)
    val sizes = Regex("""'shape': \(([0-9, ]*)\)""").find(header)?.groupValues?.get(1).orEmpty()
    val found = sizes.split(",").filter { it.isNotBlank() }.map { it.trim().toIntOrNull() }
    if ("'descr': '<f4'" !in header || "'fortran_order': False" !in header || found != shape) {
        throw VecaError.File("$name does not fit the manifest")
    }
    val values = FloatArray(count.toInt())
    ByteBuffer.wrap(bytes, start.toInt(), values.size * 4).slice().order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer().get(values)
    if (!values.all { it.isFinite() }) throw VecaError.File("$name holds values that are not numbers")
    return values
}
