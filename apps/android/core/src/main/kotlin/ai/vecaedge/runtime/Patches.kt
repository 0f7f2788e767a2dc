package ai.vecaedge.runtime

import ai.vecaedge.camera.RgbImage
import ai.vecaedge.camera.halved

/**
 * An image's patches as grey levels, row by row, each in (row, column, channel) order.
 *
 * @property count N.
 * @property width bytes of a patch, p * p * 3.
 */
class BytePatches(val count: Int, val width: Int, val bytes: ByteArray) {
    /** Whether the other has as many of the same size. */
    fun isLike(other: BytePatches): Boolean = count == other.count && width == other.width
}

/** Cut an image whose sides are multiples of [patchSize], as bytes: a quarter of the memory to compare. */
fun cutBytes(image: RgbImage, patchSize: Int): BytePatches {
    val columns = image.width / patchSize
    val count = columns * (image.height / patchSize)
    val width = patchSize * patchSize * 3
    val cut = ByteArray(count * width)
    for (patch in 0 until count) {
        forEachRow(image, patchSize, patch, columns) { row, from ->
            image.bytes.copyInto(cut, patch * width + row * patchSize * 3, from, from + patchSize * 3)
        }
    }
    return BytePatches(count, width, cut)
}

/** Only the patches with these indices, as engines take them: (n, p * p * 3) values 0..255. */
fun cutSome(image: RgbImage, patchSize: Int, patches: IntArray): FloatArray {
    val columns = image.width / patchSize
    val cut = FloatArray(patches.size * patchSize * patchSize * 3)
    var to = 0
    for (patch in patches) {
        forEachRow(image, patchSize, patch, columns) { _, from ->
            for (i in from until from + patchSize * 3) cut[to++] = (image.bytes[i].toInt() and 0xff).toFloat()
        }
    }
    return cut
}

/** All patches, as engines take them: (N, p * p * 3) values 0..255. */
fun cutPatches(image: RgbImage, patchSize: Int): FloatArray =
    cutSome(image, patchSize, IntArray(image.width / patchSize * (image.height / patchSize)) { it })

/** What change is looked for in: patches at half the size, a quarter of the bytes and of the noise's energy. */
fun comparedPatches(image: RgbImage, patchSize: Int): BytePatches =
    if (patchSize % 2 == 0) cutBytes(halved(image), patchSize / 2) else cutBytes(image, patchSize)

/** Centres of a grid's cells as (x, y) in -1..1, row by row: (rows * columns, 2). */
fun cellCentres(rows: Int, columns: Int): FloatArray {
    val centres = FloatArray(rows * columns * 2)
    for (cell in 0 until rows * columns) {
        centres[2 * cell] = (cell % columns + 0.5f) / columns * 2 - 1
        centres[2 * cell + 1] = (cell / columns + 0.5f) / rows * 2 - 1
    }
    return centres
}

/** Calls with each pixel row of a patch and where it begins in the image's bytes. */
private inline fun forEachRow(image: RgbImage, size: Int, patch: Int, columns: Int, use: (Int, Int) -> Unit) {
    val corner = (patch / columns * size * image.width + patch % columns * size) * 3
    for (row in 0 until size) use(row, corner + row * image.width * 3)
}
