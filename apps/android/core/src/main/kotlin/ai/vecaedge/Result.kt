package ai.vecaedge

import ai.vecaedge.camera.Box
import ai.vecaedge.governor.DeviceState
import ai.vecaedge.governor.OperatingPoint
import kotlin.math.exp

/** A label and how likely it is, 0..1. */
data class Prediction(val label: String, val probability: Float)

/**
 * One vector per patch of an image.
 *
 * @property rows of patches.
 * @property columns of patches.
 * @property values (rows, columns, depth).
 */
class Grid(val rows: Int, val columns: Int, val values: FloatArray) {
    val depth: Int get() = values.size / (rows * columns)

    /** A copy of one patch's vector. */
    operator fun get(row: Int, column: Int): FloatArray {
        val from = (row * columns + column) * depth
        return values.copyOfRange(from, from + depth)
    }
}

/**
 * The outputs for one image. The arrays belong to whoever receives it: nothing changes them later.
 *
 * @property embedding (D'), one vector for the image.
 * @property features (rows, columns, D').
 * @property coreAttention (rows, columns, C), how much each patch attends to each core in the last layer; sums to 1.
 * @property logits (K), or null for a model without a head.
 * @property labels K names.
 * @property cores active cores C.
 * @property width pixels of what the model saw.
 * @property height pixels of it.
 * @property crop of it in pixels of the given image.
 * @property latency seconds from the image to this result, preprocessing included; 0 for a frame that was left out.
 * @property computed in a stream, per patch whether it was computed for this frame; else null.
 * @property keyframe whether all patches were computed.
 * @property oldest frames since the least recently computed patch was computed.
 * @property point in a session, the operating point that the governor chose.
 * @property reason why, in one line.
 * @property state what the device said about itself then.
 * @property dense what each dense head says, by its name; empty without any.
 * @property certainty how sure the model must be of a label before that is shown.
 */
data class Result(
    val embedding: FloatArray,
    val features: Grid,
    val coreAttention: Grid,
    val logits: FloatArray?,
    val labels: List<String>,
    val cores: Int,
    val width: Int,
    val height: Int,
    val crop: Box,
    val latency: Double,
    val computed: BooleanArray? = null,
    val keyframe: Boolean = true,
    val oldest: Int = 0,
    val point: OperatingPoint? = null,
    val reason: String = "",
    val state: DeviceState? = null,
    val dense: Map<String, DenseResult> = emptyMap(),
    val certainty: Certainty = Certainty(),
) {
    /** How likely the best label is at the model's temperature, 0..1, for [sure]; throws [VecaError.NoHead]. */
    val confidence: Double get() = certainty.confidence(logits ?: throw VecaError.NoHead())

    /** Whether the best label, `top(1)`, is worth showing; show "not sure" otherwise. False without a head. */
    val sure: Boolean get() = logits?.let { certainty.sure(it) } ?: false

    /** Softmax of the logits (K); throws [VecaError.NoHead]. */
    val probabilities: FloatArray
        get() {
            val logits = logits ?: throw VecaError.NoHead()
            val most = logits.maxOrNull() ?: 0f
            val shifted = logits.map { exp((it - most).toDouble()) }
            return FloatArray(logits.size) { (shifted[it] / shifted.sum()).toFloat() }
        }

    /** The k most likely labels, best first, however unsure; throws [VecaError.NoHead], [VecaError.Argument] for a negative number. */
    fun top(k: Int = 5): List<Prediction> {
        if (k < 0) throw VecaError.Argument("top($k): use a number of labels, 0 or more")
        val probabilities = probabilities
        return probabilities.indices.sortedByDescending { probabilities[it] }.take(k)
            .map { Prediction(labels[it], probabilities[it]) }
    }

    /** The same for a frame that was left out: nothing of it was computed. */
    internal fun standing(reason: String, state: DeviceState?): Result = copy(
        computed = BooleanArray(features.rows * features.columns), keyframe = false, latency = 0.0, reason = reason,
        state = state, dense = dense.mapValues { (_, it) -> it.copy(computed = BooleanArray(it.rows * it.columns)) },
    )

    /** How many patches were computed: all of them outside of a stream. */
    val computedPatches: Int get() = computed?.count { it } ?: (features.rows * features.columns)
}
