package ai.vecaedge

import ai.vecaedge.camera.Preprocessing
import ai.vecaedge.camera.RgbImage
import ai.vecaedge.runtime.ChangeSettings
import ai.vecaedge.runtime.DenseHead
import ai.vecaedge.runtime.DenseTask
import ai.vecaedge.runtime.ElasticEngine
import ai.vecaedge.runtime.Engine
import ai.vecaedge.runtime.Head
import ai.vecaedge.runtime.Means
import ai.vecaedge.runtime.ModelFile
import ai.vecaedge.runtime.Program
import java.io.Closeable

/**
 * One set of weights that runs at every core budget and image size.
 *
 * Not thread-safe: one call at a time, from whichever thread. Every call computes for milliseconds; none belongs on
 * the main thread.
 *
 * @property name for people.
 * @property budgets core counts the model offers, ascending.
 * @property labels the head's names, empty without a head.
 * @property quality what each operating point is worth (see `Manifest.quality`); empty if unknown.
 * @param dense the heads for every patch, by name.
 * @property digest SHA-256 of the file, hexadecimal.
 * @property certainty how sure the model must be of a label before [Result.sure] is true; may be set.
 * @property means what photos have in common, for `Gallery`; null if unknown.
 * @property sourceDigest SHA-256 of the checkpoint, hexadecimal; "" if unknown.
 */
class Model(
    val name: String,
    internal val engine: Engine,
    val preprocessing: Preprocessing,
    val patchSize: Int,
    val budgets: List<Int>,
    val labels: List<String> = emptyList(),
    private val head: Head? = null,
    val quality: Map<String, Any?> = emptyMap(),
    val digest: String = "",
    internal val dense: List<DenseHead> = emptyList(),
    var certainty: Certainty = Certainty(),
    val means: Means? = null,
    val sourceDigest: String = "",
) : Closeable {
    /** What the dense heads say; empty without any. */
    val tasks: List<DenseTask> = dense.map { it.task }

    /**
     * Run the model on an image of any size.
     *
     * Throws [VecaError.Argument] for a budget or a size that the model does not offer, [VecaError.Engine].
     *
     * @param cores one of [budgets]; null for the largest. Changing it from call to call costs nothing.
     * @param imageSize pixels in place of the preprocessing's, a multiple of the patch size.
     */
    operator fun invoke(image: RgbImage, cores: Int? = null, imageSize: Int? = null): Result {
        val start = System.nanoTime()
        val budget = checkBudget(cores)
        val (fitted, crop) = preprocessing.resize(image, patchSize, imageSize)
        val rows = fitted.height / patchSize
        val columns = fitted.width / patchSize
        val encoded = engine.encode(fitted, budget)
        return Result(
            encoded.embedding,
            Grid(rows, columns, encoded.features),
            Grid(rows, columns, encoded.coreAttention),
            logits(encoded.embedding, encoded.features),
            labels,
            budget,
            fitted.width,
            fitted.height,
            crop,
            secondsSince(start),
            dense = dense.associate {
                it.task.name to DenseResult.of(it.task, it.outputs(encoded.features), rows, columns, crop)
            },
            certainty = certainty,
        )
    }

    /**
     * A stream: frame after frame, of which only the changed patches are computed.
     *
     * Throws [VecaError.Argument] for a budget that the model does not offer.
     */
    fun stream(cores: Int? = null, imageSize: Int? = null, change: ChangeSettings = ChangeSettings()): Stream =
        Stream(this, checkBudget(cores), imageSize, change)

    /** [cores] if the model offers it, the largest budget for null, else [VecaError.Argument]. */
    fun checkBudget(cores: Int?): Int = (cores ?: budgets.last()).also {
        if (it !in budgets) throw VecaError.Argument("$it cores: this model offers ${budgets.joinToString(", ")}")
    }

    /** Logits (K) for an embedding (D') and features (N, D'), or null without a head. */
    internal fun logits(embedding: FloatArray, features: FloatArray): FloatArray? = head?.logits(embedding, features)

    /** Give the engine's memory back; not while a call runs. */
    override fun close() = engine.close()

    companion object {
        /** A model from its file and its loaded program; throws [VecaError.Engine] if they do not belong together. */
        fun of(file: ModelFile, program: Program): Model {
            val manifest = file.manifest
            return Model(
                manifest.name, ElasticEngine(file, program), manifest.preprocessing, manifest.patchSize,
                manifest.budgets, manifest.labels, file.head, manifest.quality, file.digest, file.dense,
                manifest.certainty, manifest.means, manifest.sourceDigest,
            )
        }
    }
}

internal fun secondsSince(nanoseconds: Long): Double = (System.nanoTime() - nanoseconds) * 1e-9
