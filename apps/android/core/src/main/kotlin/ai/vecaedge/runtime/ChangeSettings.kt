package ai.vecaedge.runtime

import ai.vecaedge.VecaError

/**
 * What counts as change in a stream, and how much may be computed for it.
 *
 * @property sensitivity root mean square change of a patch's pixels, in grey levels beyond the sensor's noise, above
 *   which it is computed again. Smaller follows fainter changes and computes more.
 * @property patience frames that faint changes (all below twice the sensitivity) may wait so that one step
 *   computes several; 0 for none.
 * @property patchBudget most patches computed per frame (keyframes apart), 2 or more, or null for no limit.
 * @property refreshFrames every patch is computed about once in so many frames, changed or not.
 * @property keyframeShare if more than this share of the patches changed, all are computed.
 * @property drift if the embedding's cosine to the last keyframe's falls below this, the next frame is a keyframe; -1
 *   switches it off.
 */
data class ChangeSettings(
    val sensitivity: Double = 4.5,
    val patience: Int = 3,
    val patchBudget: Int? = null,
    val refreshFrames: Int = 64,
    val keyframeShare: Double = 0.6,
    val drift: Double = 0.95,
) {
    init {
        if (sensitivity !in 0.01..255.0) {
            throw VecaError.Argument("sensitivity $sensitivity: use grey levels from 0.01 to 255")
        }
        if (patience < 0) throw VecaError.Argument("patience of $patience frames: use 0 or more")
        if (patchBudget != null && patchBudget < 2) {
            throw VecaError.Argument("patch budget $patchBudget: use 2 or more, one for change and one to refresh")
        }
        if (refreshFrames < 1) throw VecaError.Argument("refresh after $refreshFrames frames: use 1 or more")
        if (!(keyframeShare > 0 && keyframeShare <= 1)) {
            throw VecaError.Argument("keyframe share $keyframeShare: use a fraction above 0, up to 1")
        }
        if (!(drift >= -1 && drift < 1)) throw VecaError.Argument("drift $drift: use a cosine from -1 to below 1")
    }
}

/**
 * What to compute of one frame.
 *
 * @property patches indices, ascending; none if the last result still holds.
 * @property keyframe whether that is all of them, because too much changed or nothing was known.
 * @property changed how many moved past the threshold.
 * @property looked whether anybody looked; if not, all may have changed.
 */
class Plan(val patches: IntArray, val keyframe: Boolean, val changed: Int, val looked: Boolean = true)
