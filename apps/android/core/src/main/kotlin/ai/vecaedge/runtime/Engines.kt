package ai.vecaedge.runtime

import ai.vecaedge.camera.RgbImage
import java.io.Closeable

/**
 * What an engine computes from one image; the arrays belong to the caller.
 *
 * @property embedding (D'), the first core.
 * @property features (N, D'), one vector per patch, row by row.
 * @property coreAttention (N, C), the last layer's attention of each patch to each core, mean over heads.
 */
class Encoded(val embedding: FloatArray, val features: FloatArray, val coreAttention: FloatArray)

/**
 * What an engine computes for n patches; the arrays belong to the caller.
 *
 * @property embedding (D').
 * @property features (n, D').
 * @property coreAttention (n, C).
 * @property keys per layer (heads, n, headDim), positions applied.
 * @property values per layer (heads, n, headDim).
 */
class Stepped(
    val embedding: FloatArray,
    val features: FloatArray,
    val coreAttention: FloatArray,
    val keys: List<FloatArray>,
    val values: List<FloatArray>,
)

/** Runs one model at any core budget and any image size. One call at a time. */
interface Engine : Closeable {
    /** For people: "executorch". */
    val name: String

    /** Attention heads: how the rows of [Stepped.keys] are divided. */
    val heads: Int

    /** Run the model on an image whose sides are multiples of the patch size. */
    fun encode(image: RgbImage, cores: Int): Encoded

    /**
     * Compute some patches; the cores also read the remembered ones.
     *
     * @param patches (n, p * p * 3), values 0..255.
     * @param positions (n, 2), their cells' centres.
     * @param mask (N), added to the attention scores of remembered rows: 0, or [HIDE] for a row that is being
     *   replaced; null without a cache.
     * @param cache the remembered rows, or null if there are none.
     */
    fun step(patches: FloatArray, positions: FloatArray, cores: Int, mask: FloatArray?, cache: PatchCache?): Stepped

    /** Centres of a grid's cells: (rows * columns, 2). */
    fun positions(rows: Int, columns: Int): FloatArray
}

/** Added to an attention score, leaves nothing of it. */
const val HIDE = -1e4f

/** A loaded program: methods by name. What stands between this library and ExecuTorch. One call at a time. */
interface Program : Closeable {
    /** The program's methods. */
    val methods: Set<String>

    /** Run a method; the outputs belong to the caller. Throws [ai.vecaedge.VecaError.Engine]. */
    fun run(method: String, inputs: List<Floats>): List<FloatArray>
}
