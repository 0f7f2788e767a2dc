package ai.vecaedge

import ai.vecaedge.camera.Box
import ai.vecaedge.camera.FeatureColours
import ai.vecaedge.camera.RgbImage
import ai.vecaedge.camera.halved
import ai.vecaedge.runtime.cellCentres
import ai.vecaedge.runtime.comparedPatches
import ai.vecaedge.runtime.cutPatches
import ai.vecaedge.runtime.cutSome
import java.io.File
import java.nio.ByteBuffer
import kotlin.math.abs

/** The frames' formula, images to the model's size, patches and positions; rotation. */
fun Checks.preprocessing(golden: File) {
    for (case in Table.read(File(golden, "frames.json")).tables("cases")) {
        same(levelsOf(frameOf(case.table("frame"))), case.ints("bytes"), "the frame's formula")
    }
    val file = Table.read(File(golden, "preprocessing.json"))
    val tolerance = file.int("tolerance")
    for (case in file.tables("cases")) fitted(case, tolerance)
    for (case in file.tables("halved")) {
        alike(levelsOf(halved(frameOf(case.table("frame")))), case.ints("pixels"), tolerance, "halved")
    }
    for (case in file.tables("errors")) {
        val (width, height) = Pair(case.int("width"), case.int("height"))
        fails<VecaError>(case.text("name")) {
            val image = RgbImage(width, height, ByteArray(width * height * 3))
            preprocessingOf(case).resize(image, case.int("patch_size"), case.number("image_size")?.toInt())
        }
    }
    rotations()
    fails<VecaError.Image>("an empty image") { RgbImage(0, 0, ByteArray(0)) }
    fails<VecaError.Image>("a wrong number of bytes") { RgbImage(2, 2, ByteArray(11)) }
}

private fun Checks.fitted(case: Table, tolerance: Int) {
    val name = case.text("name")
    val size = case.number("image_size")?.toInt()
    val preprocessing = preprocessingOf(case)
    val (frame, patch) = Pair(frameOf(case.table("frame")), case.int("patch_size"))
    val (image, crop) = preprocessing.resize(frame, patch, size)
    val squares = preprocessing.squares(frame.width, frame.height, patch, size ?: preprocessing.imageSize)
    near(squares, case.number("squares"), "$name: squares")
    val (x, y, width, height) = case.ints("crop")
    same(crop, Box(x, y, width, height), "$name: crop")
    same(listOf(image.width, image.height), listOf(case.int("width"), case.int("height")), "$name: size")
    alike(levelsOf(image), case.ints("pixels"), tolerance, name)
}

private fun Checks.alike(found: List<Int>, wanted: List<Int>, tolerance: Int, what: String) {
    same(found.size, wanted.size, "$what: number of grey levels")
    val worst = found.zip(wanted).maxOf { (a, b) -> abs(a - b) }
    that(worst <= tolerance) { "$what: grey levels differ by up to $worst" }
}

/** A frame of 3 x 2 with rows of 16 bytes, turned; every pixel carries its number. */
private fun Checks.rotations() {
    val memory = ByteBuffer.allocate(28)
    for (pixel in 0 until 6) memory.put(pixel / 3 * 16 + pixel % 3 * 4, pixel.toByte())
    val wanted = mapOf(
        0 to listOf(0, 1, 2, 3, 4, 5), 90 to listOf(3, 0, 4, 1, 5, 2),
        180 to listOf(5, 4, 3, 2, 1, 0), 270 to listOf(2, 5, 1, 4, 0, 3),
    )
    for ((rotation, pixels) in wanted) {
        val upright = RgbImage.fromRgba(memory, 3, 2, 16, rotation)
        same(upright.width, if (rotation % 180 == 0) 3 else 2, "width after $rotation degrees")
        same(pixels.indices.map { upright.bytes[it * 3].toInt() }, pixels, "pixels after $rotation degrees")
    }
    fails<VecaError.Argument>("a rotation of 45 degrees") { RgbImage.fromRgba(memory, 3, 2, 16, 45) }
    fails<VecaError.Image>("a frame that is cut off") { RgbImage.fromRgba(memory, 3, 3, 16, 0) }
}

/** Patches, their positions, and what change is looked for in. */
fun Checks.patches(golden: File) {
    val file = Table.read(File(golden, "patches.json"))
    for (case in file.tables("cut")) {
        val image = frameOf(case.table("frame"))
        val size = case.int("patch_size")
        val rows = case.lists("patches").map { row -> row.map { (it as Double).toFloat() } }
        same(cutPatches(image, size).toList(), rows.flatten(), "all patches")
        val some = case.ints("some")
        same(cutSome(image, size, some.toIntArray()).toList(), some.flatMap { rows[it] }, "some patches")
    }
    for (case in file.tables("positions")) {
        val wanted = case.lists("positions").flatten().map { it as Double }
        near(cellCentres(case.int("rows"), case.int("columns")), wanted, "positions", 1e-6, 1e-6)
    }
    for (case in file.tables("compared")) {
        val found = comparedPatches(frameOf(case.table("frame")), case.int("patch_size"))
        val wanted = case.lists("patches").flatten().map { (it as Double).toInt() }
        alike(found.bytes.map { it.toInt() and 0xff }, wanted, 1, "compared patches")
    }
    colours()
}

/** Two kinds of patch get two colours, the same in the next frame. */
private fun Checks.colours() {
    val features = Grid(4, 4, FloatArray(16 * 8) { (if (it / 8 % 4 < 2) 1f else -1f) * (it % 8) + 0.01f * (it % 7) })
    val painter = FeatureColours()
    val first = painter.paint(features)
    val second = painter.paint(features)
    fun apart(a: RgbImage, x: Int, b: RgbImage, other: Int) =
        (0..2).sumOf { abs(a.level(x, 0, it) - b.level(other, 0, it)) }
    that(apart(first, 0, first, 3) > 60) { "two kinds of patch look alike" }
    that(apart(first, 0, second, 0) < 12) { "the colours flicker" }
}
