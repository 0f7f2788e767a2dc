package ai.vecaedge.runtime

import ai.vecaedge.Certainty
import ai.vecaedge.VecaError
import ai.vecaedge.camera.Preprocessing
import kotlin.math.round

private const val FORMAT = "veca-edge model"
private const val FORMAT_VERSION = 1

/** A method that takes at most so many patches. */
data class SizeBucket(val patches: Int, val method: String)

/**
 * Sizes, settings and origin of a model file.
 *
 * @property name for people.
 * @property target "executorch" for files that this library runs.
 * @property hiddenDim width D of a token.
 * @property featureDim width D' of the embedding and of the patch features.
 * @property budgets core counts the file was made for, ascending.
 * @property maxPatches most patches that `encode` and `step` take at once.
 * @property labels names of the head's classes, empty without a head.
 * @property methods the program's methods.
 * @property programSize bytes of the program at the start of the file.
 * @property programDigest SHA-256 of those bytes, hexadecimal.
 * @property sourceDigest SHA-256 of the checkpoint, hexadecimal.
 * @property quality what each operating point keeps of the best one's results; empty if it was not measured.
 * @property tasks what its dense heads say, by name; none in older files.
 * @property certainty how sure the model must be of a label before that is shown; the default in older files.
 * @property means what photos have in common, for galleries; null in older files.
 */
data class Manifest(
    val name: String,
    val target: String,
    val quantization: String,
    val hiddenDim: Int,
    val featureDim: Int,
    val numHeads: Int,
    val numLayers: Int,
    val patchSize: Int,
    val numCores: Int,
    val chunkSize: Int,
    val budgets: List<Int>,
    val maxPatches: Int,
    val preprocessing: Preprocessing,
    val labels: List<String>,
    val methods: List<String>,
    val programSize: Long,
    val programDigest: String,
    val sourceDigest: String,
    val quality: Map<String, Any?>,
    val tasks: List<DenseTask> = emptyList(),
    val certainty: Certainty = Certainty(),
    val means: Means? = null,
) {
    val headDim: Int get() = hiddenDim / numHeads

    init {
        if (target != "executorch") throw VecaError.File("made for $target, this library runs executorch")
        val fits = budgets.isNotEmpty() && budgets.zipWithNext().all { it.first < it.second } &&
            budgets.all { it % chunkSize == 0 && it in 1..numCores }
        if (!fits) throw VecaError.File("the manifest's budgets do not fit its core tokens")
        if (hiddenDim % numHeads != 0) throw VecaError.File("the manifest's sizes contradict each other")
    }

    /** The methods "encode" or "step" with the patches they take, ascending; the last takes [maxPatches]. */
    fun sizeBuckets(kind: String): List<SizeBucket> {
        val smaller = methods.filter { it.startsWith("${kind}_") }
            .mapNotNull { it.removePrefix("${kind}_").toIntOrNull() }
            .filter { it in 1 until maxPatches }.sorted()
        return smaller.map { SizeBucket(it, "${kind}_$it") } + SizeBucket(maxPatches, kind)
    }

    companion object {
        /** Read a manifest; throws [VecaError.File] if it is none, of a newer format, or is not valid. */
        fun parse(text: String): Manifest {
            val fields = Fields(tableOf(Json.parse(text)) ?: throw VecaError.File("the manifest is no table"))
            if (fields.values["format"] != FORMAT) throw VecaError.File("the manifest is not of veca-edge")
            val version = fields.values["format_version"]
            if (version !is Double || version != round(version) || version !in 1.0..FORMAT_VERSION.toDouble()) {
                throw VecaError.File("made for format $version, this library reads up to $FORMAT_VERSION: update it")
            }
            return Manifest(
                fields.text("name"), fields.text("target"), fields.text("quantization"), fields.size("hidden_dim"),
                fields.size("feature_dim"), fields.size("num_heads"), fields.size("num_layers"),
                fields.size("patch_size"), fields.size("num_cores"), fields.size("chunk_size"),
                fields.list("budgets").map { fields.size("budgets", it) }, fields.size("max_patches"),
                Preprocessing.of(fields.table("preprocessing")), fields.texts("labels"), fields.texts("methods"),
                fields.number("program_size", fields.values["program_size"], 1e12).toLong(),
                fields.text("program_digest"), fields.text("source_digest"),
                if ("quality" in fields.values) fields.table("quality") else emptyMap(),
                if ("heads" in fields.values) DenseTask.readAll(fields.table("heads")) else emptyList(),
                if ("certainty" in fields.values) certaintyOf(tableOf(fields.values["certainty"])) else Certainty(),
                fields.values["means"]?.let { meansOf(it, fields.size("feature_dim")) },
            )
        }
    }
}

/** A manifest's certainty; what is missing has its default. */
internal fun certaintyOf(values: Map<String, Any?>?): Certainty {
    if (values == null) throw VecaError.File("the manifest's certainty is no table")
    fun number(name: String, default: Double): Double {
        val value = if (name in values) values[name] else default
        return value as? Double ?: throw VecaError.File("the manifest's certainty: $name is no number")
    }
    return try {
        val default = Certainty()
        Certainty(number("temperature", default.temperature), number("threshold", default.threshold))
    } catch (error: VecaError.Argument) {
        throw VecaError.File(error.message.orEmpty())
    }
}

private fun meansOf(value: Any, width: Int): Means = try {
    Means.read(value, width)
} catch (error: VecaError.File) {
    throw VecaError.File("the manifest's ${error.message}")
}

/** A manifest's values, each in its type or a [VecaError.File]. */
private class Fields(val values: Map<String, Any?>) {
    fun text(name: String, value: Any? = values[name]): String {
        val text = value as? String ?: wrong(name)
        // No text in it may steer a terminal, or pass for another line of a log.
        return if (text.none { it.isISOControl() }) text else wrong(name)
    }

    fun list(name: String): List<Any?> = values[name] as? List<*> ?: wrong(name)

    fun texts(name: String): List<String> = list(name).map { text(name, it) }

    fun table(name: String): Map<String, Any?> = tableOf(values[name]) ?: wrong(name)

    /** A whole number of something that is held in memory. */
    fun size(name: String, value: Any? = values[name]): Int = number(name, value, 1e6).toInt()

    fun number(name: String, value: Any?, most: Double): Double =
        (value as? Double)?.takeIf { it == round(it) && it in 1.0..most } ?: wrong(name)

    private fun wrong(name: String): Nothing =
        throw VecaError.File("the manifest's $name is not valid: ${values[name].toString().take(60)}")
}

/** A JSON value as a whole number within a range, else null. */
internal fun wholeOf(value: Any?, range: IntRange): Int? =
    (value as? Double)?.takeIf { it == round(it) && it >= range.first && it <= range.last }?.toInt()

internal fun tableOf(value: Any?): Map<String, Any?>? =
    (value as? Map<*, *>)?.entries?.associate { it.key.toString() to it.value }
