package ai.vecaedge

import ai.vecaedge.camera.Preprocessing
import ai.vecaedge.camera.RgbImage
import ai.vecaedge.runtime.ChangeSettings
import ai.vecaedge.runtime.Json
import java.io.File
import kotlin.math.abs

/** A JSON table with its values in their types. */
class Table(private val values: Map<*, *>) {
    val names: Set<String> get() = values.keys.map { it.toString() }.toSet()

    operator fun contains(name: String) = values[name] != null

    operator fun get(name: String): Any? = values[name]

    fun table(name: String) = Table(values[name] as Map<*, *>)

    fun tables(name: String): List<Table> = (values[name] as List<*>).map { Table(it as Map<*, *>) }

    fun lists(name: String): List<List<*>> = (values[name] as List<*>).map { it as List<*> }

    fun text(name: String) = values[name] as String

    fun int(name: String, default: Int = 0) = (values[name] as Double?)?.toInt() ?: default

    fun number(name: String): Double? = numberOf(values[name])

    fun flag(name: String): Boolean? = values[name] as Boolean?

    fun ints(name: String): List<Int> = (values[name] as List<*>).map { (it as Double).toInt() }

    fun numbers(name: String): List<Double> = (values[name] as List<*>).map { it as Double }

    fun texts(name: String): List<String> = (values[name] as List<*>).map { it as String }

    @Suppress("UNCHECKED_CAST")
    fun plain(name: String) = values[name] as Map<String, Any?>

    companion object {
        /** A NaN is written as a text. */
        fun numberOf(value: Any?): Double? = if (value == "nan") Double.NaN else value as Double?

        fun read(file: File) = Table(Json.parse(file.readText()) as Map<*, *>)

        fun lines(file: File): List<Table> = file.readLines().map { Table(Json.parse(it) as Map<*, *>) }
    }
}

/** The files of a folder with this ending; none at all would be a test that cannot fail. */
fun traces(folder: File): List<File> =
    folder.listFiles { file -> file.name.endsWith(".jsonl") }.orEmpty().sorted().also { check(it.size > 3) { folder } }

/** A frame from its formula (`tests/golden/README.md`). */
fun frameOf(frame: Table): RgbImage {
    val width = frame.int("width")
    val height = frame.int("height")
    val noise = frame.int("noise")
    val cell = frame.int("cell")
    val plaid = frame["pattern"] == "plaid"
    val added = if ("add" in frame) frame.lists("add") else emptyList()
    val levels = added.map { row -> row.map { (it as Double).toInt() } }
    var state = ((frame.number("seed") ?: 0.0).toLong()).toUInt()
    val bytes = ByteArray(width * height * 3)
    for (i in bytes.indices) {
        val (x, y, channel) = Triple(i / 3 % width, i / 3 / width, i % 3)
        var level = if (plaid) woven(x + frame.int("pan"), y, channel) else 128
        level += frame.int("light")
        if (noise > 0) {
            state = state * 1664525u + 1013904223u
            level += ((state shr 16) % (2 * noise + 1).toUInt()).toInt() - noise
        }
        if (cell > 0) {
            val patch = y / cell * (width / cell) + x / cell
            level += levels.filter { (first, last, _) -> patch in first..last }.sumOf { it[2] }
        }
        bytes[i] = level.coerceIn(0, 255).toByte()
    }
    return RgbImage(width, height, bytes)
}

private fun woven(x: Int, y: Int, channel: Int) =
    40 + 2 * abs((3 * x + 20 * channel) % 64 - 32) + 2 * abs(5 * y % 64 - 32)

fun levelsOf(image: RgbImage): List<Int> = image.bytes.map { it.toInt() and 0xff }

fun preprocessingOf(table: Table, name: String = "preprocessing") = Preprocessing.of(table.plain(name))

fun changeSettingsOf(table: Table) = ChangeSettings(
    table.number("sensitivity")!!, table.int("patience"), table.number("patch_budget")?.toInt(),
    table.int("refresh_frames"), table.number("keyframe_share")!!, table.number("drift")!!,
)
