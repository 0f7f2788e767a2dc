package ai.vecaedge.runtime

import ai.vecaedge.VecaError
import ai.vecaedge.camera.RgbImage

/**
 * Runs a model file's `encode` and `step`, whose core and patch counts are dynamic: switching either costs nothing.
 *
 * What each method takes and gives is in the top-level README. Every output's size is checked against the manifest.
 */
class ElasticEngine(private val file: ModelFile, private val program: Program) : Engine {
    override val name = "executorch"

    private val manifest = file.manifest
    override val heads = manifest.numHeads
    private val sizeBuckets = listOf("encode", "step").associateWith(manifest::sizeBuckets)
    private val loaded = mutableSetOf<String>()
    private val centres = mutableMapOf<Pair<Int, Int>, FloatArray>()
    private val patchMemory = Scratch()
    private val positionMemory = Scratch()
    private val maskMemory = Scratch()
    private val coreTokens = directFloats(file.cores.size).apply { put(file.cores) }
    private val coordinates = directFloats(file.coordinates.size).apply { put(file.coordinates) }

    /** What stands for "nothing remembered": two hidden rows, since XNNPACK knows no empty tensors. */
    private val nothing = Floats(listOf(manifest.numHeads, 2, manifest.headDim), directFloats(2 * manifest.hiddenDim))
        .let { rows -> List(2 * manifest.numLayers) { rows } }

    init {
        // An unknown method name can end the process, so the names are settled before any is called.
        if (program.methods != manifest.methods.toSet()) {
            throw VecaError.Engine("${manifest.name}: the program's methods are not those of its manifest")
        }
    }

    override fun encode(image: RgbImage, cores: Int): Encoded {
        val size = manifest.patchSize
        val rows = image.height / size
        val columns = image.width / size
        val outputs = run("encode", cutPatches(image, size), positions(rows, columns), cores, emptyList())
        return Encoded(outputs[0].copyOf(manifest.featureDim), outputs[1], meanOverHeads(outputs[2]))
    }

    override fun step(
        patches: FloatArray, positions: FloatArray, cores: Int, mask: FloatArray?, cache: PatchCache?,
    ): Stepped {
        val remembered = if (cache == null || mask == null) {
            listOf(maskMemory.tensor(floatArrayOf(HIDE, HIDE), 2)) + nothing
        } else {
            listOf(maskMemory.tensor(mask, mask.size)) + cache.rows()
        }
        val outputs = run("step", patches, positions, cores, remembered)
        val new = outputs.drop(3)
        return Stepped(
            outputs[0].copyOf(manifest.featureDim), outputs[1], meanOverHeads(outputs[2]),
            new.filterIndexed { i, _ -> i % 2 == 0 }, new.filterIndexed { i, _ -> i % 2 == 1 },
        )
    }

    override fun positions(rows: Int, columns: Int): FloatArray =
        centres.getOrPut(Pair(rows, columns)) { cellCentres(rows, columns) }

    override fun close() = program.close()

    private fun run(
        kind: String, patches: FloatArray, positions: FloatArray, cores: Int, remembered: List<Floats>,
    ): List<FloatArray> {
        val count = positions.size / 2
        val method = method(kind, count)
        val inputs = listOf(
            patchMemory.tensor(patches, count, patches.size / count),
            positionMemory.tensor(positions, count, 2),
            Floats(listOf(cores, manifest.hiddenDim), coreTokens.first(cores * manifest.hiddenDim)),
            Floats(listOf(cores, 2), coordinates.first(cores * 2)),
        )
        val outputs = program.run(method, inputs + remembered)
        loaded += method
        check(kind, outputs, count, cores)
        return outputs
    }

    private fun check(kind: String, outputs: List<FloatArray>, count: Int, cores: Int) {
        val tokens = listOf(cores * manifest.featureDim, count * manifest.featureDim, manifest.numHeads * count * cores)
        val rows = if (kind == "step") List(2 * manifest.numLayers) { count * manifest.hiddenDim } else emptyList()
        if (outputs.map { it.size } != tokens + rows) {
            throw VecaError.Engine("${manifest.name}: the outputs of $kind are not of the manifest's sizes")
        }
    }

    /** (heads, n, C) to (n, C). */
    private fun meanOverHeads(attention: FloatArray): FloatArray {
        val size = attention.size / manifest.numHeads
        val mean = FloatArray(size)
        for (i in attention.indices) mean[i % size] += attention[i]
        for (i in mean.indices) mean[i] /= manifest.numHeads.toFloat()
        return mean
    }

    /** A method that takes so many patches: one that is loaded, else the one that reserves the least memory. */
    private fun method(kind: String, patches: Int): String {
        val enough = sizeBuckets.getValue(kind).filter { patches <= it.patches }.map { it.method }
        return enough.find { it in loaded } ?: enough.firstOrNull() ?: throw VecaError.Argument(
            "$patches patches, the model file was made for ${manifest.maxPatches}: use a smaller image size, or " +
                "convert with --max-patches",
        )
    }
}
