package ai.vecaedge.android

import ai.vecaedge.VecaError
import ai.vecaedge.camera.RgbImage
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import java.util.concurrent.Executor

/**
 * CameraX frames, upright, to a function: only the newest, one at a time, on the executor of [analysis].
 *
 * The camera's buffer is given back before the function computes, so a slow model delays no preview.
 *
 * @param use receives each frame; what it throws of [VecaError] goes to [onError], and the next frame follows.
 */
class FrameAnalyzer(
    private val use: (RgbImage) -> Unit,
    private val onError: (VecaError) -> Unit,
) : ImageAnalysis.Analyzer {
    override fun analyze(image: ImageProxy) {
        try {
            use(image.use(::upright))
        } catch (error: VecaError) {
            onError(error)
        }
    }

    /** The use case to bind: RGBA, newest frame only. The executor must have one thread, which owns the model. */
    fun analysis(executor: Executor): ImageAnalysis = ImageAnalysis.Builder()
        .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
        .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
        .build()
        .also { it.setAnalyzer(executor, this) }
}

private fun upright(image: ImageProxy): RgbImage {
    val plane = image.planes[0]
    return RgbImage.fromRgba(plane.buffer, image.width, image.height, plane.rowStride, image.imageInfo.rotationDegrees)
}
