package ai.vecaedge

import ai.vecaedge.camera.RgbImage
import ai.vecaedge.runtime.Json
import ai.vecaedge.runtime.tableOf
import kotlin.math.abs
import kotlin.math.sqrt

/**
 * One photo at one core budget, held against what the checkpoint says in fp32.
 *
 * @property embeddingCosine of the two embeddings, -1..1.
 * @property logitsApart the largest difference of a logit.
 * @property label what the device says, and [expected] what it should.
 * @property passed whether all of it is within the tolerances.
 */
data class GoldenRow(
    val photo: String,
    val cores: Int,
    val embeddingCosine: Double,
    val logitsApart: Double,
    val label: String,
    val expected: String,
    val passed: Boolean,
)

/**
 * The end-to-end check: three photos, three core budgets, the shipped default model. It finds what unit tests cannot:
 * an app whose preprocessing, colours or file differ from what the model was checked with.
 *
 * @param json the text of `end-to-end.json`.
 * @param target which tolerances hold: "executorch-int8" or "executorch-fp32".
 */
class GoldenCheck(json: String, target: String) {
    private val root = table(Json.parse(json))
    private val tolerance = table(table(root["tolerances"])[target])

    /** Names of the photos that [run] asks for. */
    val photos: List<String> = list(root["photos"]).map { table(it)["file"].toString() }

    /**
     * Run the model on every photo at every budget; seconds, not for the main thread.
     *
     * @param photo the decoded photo of this name, in its own size.
     */
    fun run(model: Model, photo: (String) -> RgbImage): List<GoldenRow> =
        list(root["photos"]).map(::table).flatMap { entry ->
            val name = entry["file"].toString()
            val image = photo(name)
            table(entry["budgets"]).map { (cores, wanted) -> row(name, model(image, cores.toInt()), table(wanted)) }
        }

    private fun row(photo: String, result: Result, wanted: Map<String, Any?>): GoldenRow {
        val cosine = cosine(result.embedding, numbers(wanted["embedding"]))
        val logits = numbers(wanted["logits"])
        val found = result.logits ?: throw VecaError.NoHead()
        if (found.size != logits.size) throw VecaError.File("the golden file is of another model")
        val apart = found.indices.maxOf { abs(found[it] - logits[it]) }
        val label = result.top(1).first().label
        val expected = list(list(wanted["top"]).first()).first().toString()
        val within = cosine >= number(tolerance["embedding_cosine"]) && apart <= number(tolerance["logits"])
        val passed = within && (label == expected || tolerance["top1"] != true)
        return GoldenRow(photo, result.cores, cosine, apart, label, expected, passed)
    }

    private fun table(value: Any?): Map<String, Any?> = tableOf(value) ?: wrong()

    private fun list(value: Any?): List<Any?> = value as? List<*> ?: wrong()

    private fun number(value: Any?): Double = value as? Double ?: wrong()

    private fun numbers(value: Any?): DoubleArray = list(value).map(::number).toDoubleArray()

    private fun wrong(): Nothing = throw VecaError.File("not a file of golden end-to-end vectors")
}

private fun cosine(a: FloatArray, b: DoubleArray): Double {
    if (a.size != b.size) throw VecaError.File("the golden file is of another model")
    val norms = sqrt(a.sumOf { it.toDouble() * it }) * sqrt(b.sumOf { it * it })
    return a.indices.sumOf { a[it] * b[it] } / norms
}
