package ai.vecaedge

import ai.vecaedge.camera.RgbImage
import ai.vecaedge.runtime.Json
import ai.vecaedge.runtime.ModelFile
import java.io.DataInputStream
import java.io.File
import javax.imageio.ImageIO

/** The golden photos through the real model: what the sample's check screen does on a device. */
fun Checks.photos(model: File, command: List<String>, golden: File, photos: File) {
    Model.of(ModelFile.read(model), PythonProgram(command)).use { opened ->
        val check = GoldenCheck(File(golden, "end-to-end.json").readText(), "executorch-int8")
        for (row in check.run(opened) { decoded(File(photos, it)) }) {
            that(row.passed) { row.toString() }
            println("photos: $row")
        }
        val other = Model("other", FormulaEngine(), opened.preprocessing, 8, opened.budgets)
        fails<VecaError>("the golden file of another model") { check.run(other) { decoded(File(photos, it)) } }
    }
}

/**
 * A clip of raw frames through a stream of the real model; writes what was computed and the embeddings, for Python
 * to compare with its own. A frame is width and height (big-endian ints) and its RGB bytes.
 */
fun Checks.clip(model: File, command: List<String>, frames: File, report: File) {
    Model.of(ModelFile.read(model), PythonProgram(command)).use { opened ->
        val stream = opened.stream(opened.budgets[1])
        val lines = mutableListOf<String>()
        DataInputStream(frames.inputStream().buffered()).use { input ->
            while (input.available() > 0) {
                val (width, height) = Pair(input.readInt(), input.readInt())
                val bytes = ByteArray(width * height * 3).also(input::readFully)
                val result = stream.update(RgbImage(width, height, bytes))
                val computed = result.computed!!.indices.filter { result.computed[it] }
                val said = mapOf("embedding" to result.embedding, "logits" to result.logits!!).mapValues { it.value.toList() }
                val dense = result.dense.mapValues { (_, it) ->
                    mapOf("cells" to it.cells.toList(), "computed" to indices(it.computed!!))
                }
                lines += Json.write(said + mapOf("computed" to computed, "dense" to dense))
            }
        }
        report.writeText(lines.joinToString("\n"))
        that(lines.isNotEmpty()) { "no frames" }
        fails<VecaError.Argument>("more patches than the file was made for") {
            opened(RgbImage(64, 64, ByteArray(64 * 64 * 3)), imageSize = 4096)
        }
    }
}

private fun decoded(file: File): RgbImage {
    val picture = ImageIO.read(file)
    val bytes = ByteArray(picture.width * picture.height * 3)
    for (i in 0 until picture.width * picture.height) {
        val rgb = picture.getRGB(i % picture.width, i / picture.width)
        for (channel in 0..2) bytes[i * 3 + channel] = (rgb shr (16 - 8 * channel)).toByte()
    }
    return RgbImage(picture.width, picture.height, bytes)
}
