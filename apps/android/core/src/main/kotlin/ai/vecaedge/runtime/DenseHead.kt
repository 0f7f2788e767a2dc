package ai.vecaedge.runtime

import ai.vecaedge.VecaError
import kotlin.math.round

private const val MAX_CELLS = 16 // along a patch's side
private const val MAX_CLASSES = 256
private const val MAX_HEADS = 16
private const val LONGEST_LABEL = 200
private const val LONGEST_UNIT = 20
private val NAME = Regex("[a-z][a-z0-9_]{0,30}")

/** Outputs of a model file are called after its heads, so a name may be none of the others. */
private val TAKEN =
    setOf("image", "embedding", "features", "logits", "label", "probabilities", "core_attention", "main")

/** RGB, 0..255 each. */
data class Colour(val red: Int, val green: Int, val blue: Int)

/** What a dense head gives: one of K classes, or one value. */
enum class DenseKind { SEGMENTATION, REGRESSION }

/**
 * What a dense head says about an image, everywhere in it.
 *
 * @property name what its results are called.
 * @property cells k, 1 to 16: each patch is divided into k x k cells that have results of their own.
 * @property labels K names of a segmentation's classes; none of a regression.
 * @property colours one per label.
 * @property unit of a regression's values, such as "m"; "" for none.
 * @property range smallest and largest value of a regression that is expected: the ends of its colour scale.
 */
data class DenseTask(
    val name: String,
    val kind: DenseKind,
    val cells: Int = 1,
    val labels: List<String> = emptyList(),
    val colours: List<Colour> = emptyList(),
    val unit: String = "",
    val range: ClosedFloatingPointRange<Double> = 0.0..1.0,
) {
    init {
        checkThat(NAME.matches(name) && name !in TAKEN) { "cannot have this name" }
        checkThat(cells in 1..MAX_CELLS) { "$cells cells a patch: use 1 to $MAX_CELLS" }
        if (kind == DenseKind.SEGMENTATION) {
            checkThat(labels.size in 2..MAX_CLASSES) { "${labels.size} classes: use 2 to $MAX_CLASSES" }
            checkThat(labels.toSet().size == labels.size) { "two classes have the same name" }
            checkThat(colours.size == labels.size) { "${colours.size} colours for ${labels.size} classes" }
        } else {
            checkThat(labels.isEmpty() && colours.isEmpty()) { "a regression has no labels" }
        }
        checkThat(!range.isEmpty() && range.start < range.endInclusive) { "its range is empty" }
    }

    /** K, values per cell: the number of classes, or 1. */
    val values: Int get() = maxOf(1, labels.size)

    /** K * k * k, values per patch. */
    val outputs: Int get() = values * cells * cells

    /** The colour of a first class that stands for nothing in particular, which pictures leave clear; else null. */
    val background: Colour? get() = colours.firstOrNull()?.takeIf { labels[0].trim().lowercase() == "background" }

    /** Values of all patches (rows * columns, K * k * k) as a picture (rows * k, columns * k, K). */
    internal fun grid(outputs: FloatArray, rows: Int, columns: Int): FloatArray {
        val picture = FloatArray(outputs.size)
        var to = 0
        for (y in 0 until rows * cells) for (x in 0 until columns * cells) {
            val patch = y / cells * columns + x / cells
            val cell = y % cells * cells + x % cells
            for (value in 0 until values) picture[to++] = outputs[(patch * values + value) * cells * cells + cell]
        }
        return picture
    }

    private inline fun checkThat(holds: Boolean, why: () -> String) {
        if (!holds) throw VecaError.Argument("head ${name.take(40)}: ${why()}")
    }

    companion object {
        /** Read a manifest's table of heads, by name; throws [VecaError.File] for anything that is not one. */
        fun readAll(heads: Map<String, Any?>): List<DenseTask> {
            if (heads.size > MAX_HEADS) throw VecaError.File("${heads.size} heads: a file holds at most $MAX_HEADS")
            return heads.keys.sorted().map { read(it, heads[it]) }
        }

        /** Read a head's table; throws [VecaError.File]. */
        fun read(name: String, table: Any?): DenseTask = try {
            TaskTable(name, tableOf(table) ?: throw VecaError.Argument("head ${name.take(40)} is no table")).task()
        } catch (error: VecaError.Argument) {
            throw VecaError.File(error.message.orEmpty(), error)
        }
    }
}

/** A head's values in a manifest, each in its type or a [VecaError.Argument]. */
private class TaskTable(private val name: String, private val table: Map<String, Any?>) {
    fun task(): DenseTask {
        val cells = if ("cells" in table) whole(table["cells"]) else 1
        if (table["kind"] == "regression") return DenseTask(name, DenseKind.REGRESSION, cells, unit = unit(), range = range())
        if (table["kind"] !in listOf(null, "segmentation")) wrong("kind")
        val labels = list("labels").map(::label)
        if (labels.size > MAX_CLASSES) wrong("labels")
        return DenseTask(name, DenseKind.SEGMENTATION, cells, labels, list("colours").map(::colour))
    }

    private fun unit(): String {
        val unit = (table["unit"] ?: "") as? String ?: wrong("unit")
        return if (unit.length <= LONGEST_UNIT && unit.none { it.isISOControl() }) unit else wrong("unit")
    }

    private fun range(): ClosedFloatingPointRange<Double> {
        if (table["range"] == null) return 0.0..1.0
        val ends = list("range").map { it as? Double ?: wrong("range") }
        return if (ends.size == 2) ends[0]..ends[1] else wrong("range")
    }

    private fun label(value: Any?): String {
        val label = value as? String ?: wrong("labels")
        return if (label.isNotBlank() && label.length <= LONGEST_LABEL && label.none { it.isISOControl() }) label
        else wrong("labels")
    }

    private fun colour(value: Any?): Colour {
        val parts = (value as? List<*>)?.map(::whole)?.takeIf { it.size == 3 } ?: wrong("colours")
        return if (parts.all { it in 0..255 }) Colour(parts[0], parts[1], parts[2]) else wrong("colours")
    }

    private fun list(name: String): List<Any?> = table[name] as? List<*> ?: wrong(name)

    private fun whole(value: Any?): Int =
        (value as? Double)?.takeIf { it == round(it) && it in 0.0..1e6 }?.toInt() ?: wrong("numbers")

    private fun wrong(what: String): Nothing =
        throw VecaError.Argument("head ${name.take(40)}: its $what cannot be read")
}

/**
 * A linear layer on each patch's feature.
 *
 * @property task what it says.
 * @property weight (K * k * k, D'): outputs in the order (value, row of cells, column of cells).
 * @property bias (K * k * k).
 */
class DenseHead(val task: DenseTask, val weight: FloatArray, val bias: FloatArray) {
    init {
        if (bias.size != task.outputs || weight.isEmpty() || weight.size % bias.size != 0) {
            throw VecaError.Argument("head ${task.name}: its weight and bias are not for ${task.outputs} values")
        }
    }

    /** Outputs (N, K * k * k) for features (N, D'). */
    fun outputs(features: FloatArray): FloatArray {
        val count = features.size / depth
        return FloatArray(count * bias.size).also { update(it, features, IntArray(count) { patch -> patch }) }
    }

    /** Replace the outputs (N, K * k * k) of these patches by those for their features (N, D'); no other is touched. */
    fun update(outputs: FloatArray, features: FloatArray, patches: IntArray) {
        val depth = depth
        for (patch in patches) for (output in bias.indices) {
            var sum = bias[output]
            for (i in 0 until depth) sum += weight[output * depth + i] * features[patch * depth + i]
            outputs[patch * bias.size + output] = sum
        }
    }

    /** D'. */
    private val depth: Int get() = weight.size / bias.size
}
