package ai.vecaedge

import ai.vecaedge.camera.Preprocessing
import ai.vecaedge.camera.RgbImage
import ai.vecaedge.runtime.ChangeDetector
import ai.vecaedge.runtime.Encoded
import ai.vecaedge.runtime.Engine
import ai.vecaedge.runtime.Floats
import ai.vecaedge.runtime.HIDE
import ai.vecaedge.runtime.Head
import ai.vecaedge.runtime.PatchCache
import ai.vecaedge.runtime.Stepped
import ai.vecaedge.runtime.cellCentres
import ai.vecaedge.runtime.cutBytes
import ai.vecaedge.runtime.cutPatches
import java.io.File

/** Which patches are computed again, trace by trace. */
fun Checks.change(golden: File) = traces(File(golden, "change")).forEach { file ->
    val lines = Table.lines(file)
    val detector = ChangeDetector(changeSettingsOf(lines[0].table("settings")))
    lines.drop(1).forEachIndexed { number, line ->
        val place = "${file.name}:${number + 2}"
        if (line.flag("reset") == true) detector.reset()
        if ("settings" in line) detector.settings = changeSettingsOf(line.table("settings"))
        val patches = cutBytes(frameOf(line.table("frame")), lines[0].int("patch"))
        val plan = detector.plan(patches, line.flag("all") == true)
        val wanted = line.table("plan")
        same(plan.patches.toList(), wanted.ints("patches"), "$place patches")
        same(plan.keyframe, wanted.flag("keyframe"), "$place keyframe")
        same(plan.changed, wanted.int("changed"), "$place changed")
        near(detector.noise, line.number("noise"), "$place noise", 1e-3, 1e-4)
        same(detector.age.toList(), line.ints("age"), "$place age")
    }
}

/** What a stream asks of its engine and remembers, trace by trace, with an engine that is a formula. */
fun Checks.stream(golden: File) {
    traces(File(golden, "stream")).forEach { file ->
        val lines = Table.lines(file)
        val first = lines[0]
        val engine = FormulaEngine()
        val model = formulaModel(engine, first)
        val stream = model.stream(first.int("cores"), null, changeSettingsOf(first.table("settings")))
        lines.drop(1).forEachIndexed { number, line ->
            if (line.flag("reset") == true) stream.reset()
            if ("cores" in line) stream.cores = line.int("cores")
            if ("settings" in line) stream.change = changeSettingsOf(line.table("settings"))
            engine.calls.clear()
            val result = stream.update(frameOf(line.table("frame")))
            calls(engine, result, line, "${file.name}:${number + 2}")
            remembered(stream, result, line, "${file.name}:${number + 2}")
        }
    }
    afterAnError()
}

private fun Checks.calls(engine: FormulaEngine, result: Result, line: Table, place: String) {
    val computed = result.computed!!.indices.filter { result.computed[it] }
    same(computed, line.ints("computed"), "$place computed")
    same(result.keyframe, line.flag("keyframe"), "$place keyframe")
    same(result.oldest, line.int("oldest"), "$place oldest")
    if (line["call"] == null) {
        same(engine.calls.size, 0, "$place calls")
        return
    }
    val wanted = line.table("call")
    val call = engine.calls.single()
    same(call.method, wanted["method"], "$place method")
    same(computed, wanted.ints("patches"), "$place patches given")
    same(call.count, computed.size, "$place number of patches given")
    same(call.masked, if ("masked" in wanted) wanted.ints("masked") else null, "$place masked")
}

private fun Checks.remembered(stream: Stream, result: Result, line: Table, place: String) {
    fun column(grid: Grid) = FloatArray(grid.rows * grid.columns) { grid.values[it * grid.depth] }
    val cache = stream.cache!!
    fun rows(layers: List<Floats>) = layers.last().let { last ->
        val (heads, count, width) = last.shape
        FloatArray(count) { last.data.get(((heads - 1) * count + it) * width) }
    }
    near(stream.noise, line.number("noise"), "$place noise", 1e-3, 1e-4)
    near(result.embedding, line.numbers("embedding"), "$place embedding")
    near(result.logits!!, line.numbers("logits"), "$place logits")
    near(column(result.features), line.numbers("features"), "$place features")
    near(column(result.coreAttention), line.numbers("core_attention"), "$place core attention")
    near(rows(cache.keys), line.numbers("keys"), "$place keys")
    near(rows(cache.values), line.numbers("values"), "$place values")
    val wanted = if ("dense" in line) line.table("dense") else Table(emptyMap<String, Any>())
    same(result.dense.keys, wanted.names, "$place dense heads")
    for ((name, found) in result.dense) {
        near(found.cells, wanted.table(name).numbers("cells"), "$place $name")
        same(indices(found.computed!!), wanted.table(name).ints("computed_cells"), "$place computed cells of $name")
    }
}

/** A failed step is forgotten: the next frame is a keyframe again. */
private fun Checks.afterAnError() {
    val engine = FormulaEngine()
    val stream = Model("formula", engine, Preprocessing(48), 8, listOf(8, 16)).stream(16)
    val dark = RgbImage(48, 48, ByteArray(48 * 48 * 3))
    repeat(4) { stream.update(dark) }
    engine.broken = true
    fails<VecaError.Engine>("a broken engine") { stream.update(RgbImage(48, 48, ByteArray(48 * 48 * 3) { 90 })) }
    engine.broken = false
    same(stream.update(dark).keyframe, true, "a keyframe after an error")
    fails<VecaError.Argument>("a budget that is not offered") { stream.cores = 9 }
}

fun formulaModel(engine: Engine, first: Table): Model {
    val head = first.table("head")
    val (weight, bias) = Pair(floatsOf(head.lists("weight").flatten()), floatsOf(head.numbers("bias")))
    return Model(
        "formula", engine, preprocessingOf(first), first.int("patch_size"), first.ints("budgets"),
        first.texts("labels"), Head(weight, bias),
        dense = if ("dense" in first) first.tables("dense").map(::denseHeadOf) else emptyList(),
    )
}

/** An engine whose outputs anybody can compute: `tests/golden/README.md`. */
class FormulaEngine : Engine {
    class Call(val method: String, val count: Int, val masked: List<Int>?)

    override val name = "formula"
    override val heads = 2
    val calls = mutableListOf<Call>()
    var broken = false

    override fun encode(image: RgbImage, cores: Int): Encoded {
        val positions = positions(image.height / 8, image.width / 8)
        calls += Call("encode", positions.size / 2, null)
        val stepped = formula(cutPatches(image, 8), positions, cores, null, null)
        return Encoded(stepped.embedding, stepped.features, stepped.coreAttention)
    }

    override fun step(
        patches: FloatArray, positions: FloatArray, cores: Int, mask: FloatArray?, cache: PatchCache?,
    ): Stepped {
        if (broken) throw VecaError.Engine("broken")
        calls += Call("step", positions.size / 2, mask?.let { all -> all.indices.filter { all[it] == HIDE } })
        return formula(patches, positions, cores, mask, cache)
    }

    override fun positions(rows: Int, columns: Int) = cellCentres(rows, columns)

    override fun close() = Unit

    private fun formula(
        patches: FloatArray, positions: FloatArray, cores: Int, mask: FloatArray?, cache: PatchCache?,
    ): Stepped {
        val count = positions.size / 2
        val width = patches.size / count
        val mean = DoubleArray(count) { j -> (0 until width).sumOf { patches[j * width + it] / 255.0 } / width }
        fun layer(value: (j: Int, head: Int, d: Int) -> Double) =
            FloatArray(2 * count * 2) { value(it / 2 % count, it / 2 / count, it % 2).toFloat() }
        val keys = (0..1).map { l -> layer { j, h, d -> mean[j] * (l + 1) + positions[2 * j] * (h + 1) + d } }
        val values = (0..1).map { l ->
            layer { j, h, d -> mean[j] - 0.25 * positions[2 * j + 1] * (l + 1) + 0.125 * h - d }
        }
        val read = (0 until count).map { values[0][it * 2].toDouble() } + if (cache == null || mask == null) emptyList()
        else mask.indices.filter { mask[it] == 0f }.map { cache.values[0].data.get(it * 2).toDouble() }
        val share = read.average()
        return Stepped(
            floatArrayOf(share.toFloat(), (1 - share).toFloat(), 0.1f * read.size / 36, cores / 640f),
            FloatArray(count * 4) { (mean[it / 4] * (it % 4 + 1) + 0.01 * cores).toFloat() },
            FloatArray(count * cores) {
                val first = mean[it / cores]
                (if (it % cores == 0) first else (1 - first) / (cores - 1)).toFloat()
            },
            keys, values,
        )
    }
}
