package ai.vecaedge

import ai.vecaedge.camera.Box
import ai.vecaedge.runtime.Head
import ai.vecaedge.runtime.certaintyOf
import ai.vecaedge.runtime.tableOf
import java.io.File

/** Probabilities, the most likely labels, and the head. */
fun Checks.results(golden: File) {
    val file = Table.read(File(golden, "results.json"))
    for (case in file.tables("top")) {
        val logits = floatsOf(case.numbers("logits"))
        val result = resultOf(logits, case.texts("labels"))
        near(result.probabilities, case.numbers("probabilities"), "probabilities", 0.0, 1e-6)
        val top = result.top(case.int("k"))
        same(top.map { it.label }, case.lists("top").map { it[0] }, "labels")
        near(top.map { it.probability }.toFloatArray(), case.lists("top").map { it[1] as Double }, "top", 0.0, 1e-6)
    }
    for (case in file.tables("sure")) {
        val logits = floatsOf(case.numbers("logits"))
        val certainty = certaintyOf(case.plain("certainty"))
        val result = resultOf(logits, List(logits.size) { "$it" }).copy(certainty = certainty)
        near(floatArrayOf(result.confidence.toFloat()), listOf(case.number("confidence")!!), "confidence", 0.0, 1e-6)
        same(result.sure, case.flag("sure"), "sure of $logits")
    }
    for (refused in file["refused_certainty"] as List<*>) {
        fails<VecaError.File>("certainty $refused") { certaintyOf(tableOf(refused)) }
    }
    that(!resultOf(null, emptyList()).sure) { "sure without a head" }
    that(!resultOf(floatArrayOf(Float.NaN, 9f), listOf("a", "b")).sure) { "sure of no number" }
    for (case in file.tables("head")) {
        val head = Head(floatsOf(case.lists("weight").flatten()), floatsOf(case.numbers("bias")))
        val logits = head.logits(floatsOf(case.numbers("embedding")), floatsOf(case.lists("features").flatten()))
        near(logits, case.numbers("logits"), "logits")
    }
    fails<VecaError.NoHead>("labels without a head") { resultOf(null, emptyList()).top() }
    fails<VecaError.Argument>("a negative number of labels") { resultOf(floatArrayOf(0f), listOf("a")).top(-1) }
}

private fun resultOf(logits: FloatArray?, labels: List<String>): Result {
    val grid = Grid(1, 1, FloatArray(4))
    return Result(FloatArray(4), grid, grid, logits, labels, 8, 16, 16, Box(0, 0, 16, 16), 0.0)
}
