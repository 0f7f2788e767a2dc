package ai.vecaedge.android

import ai.vecaedge.VecaError
import ai.vecaedge.camera.RgbImage
import ai.vecaedge.runtime.Colour
import android.content.Context
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import java.io.IOException

/** A bitmap's pixels; what is transparent is taken as it is stored. */
fun RgbImage.Companion.fromBitmap(bitmap: Bitmap): RgbImage {
    val pixels = IntArray(bitmap.width * bitmap.height)
    bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    val bytes = ByteArray(pixels.size * 3)
    pixels.forEachIndexed { i, rgb ->
        bytes[3 * i] = (rgb shr 16).toByte()
        bytes[3 * i + 1] = (rgb shr 8).toByte()
        bytes[3 * i + 2] = rgb.toByte()
    }
    return RgbImage(bitmap.width, bitmap.height, bytes)
}

/** A photo of the app's assets in its own size; throws [VecaError.Image]. Not for the main thread. */
fun RgbImage.Companion.fromAsset(context: Context, asset: String): RgbImage {
    val options = BitmapFactory.Options().apply { inScaled = false }
    val bitmap = try {
        context.assets.open(asset).use { BitmapFactory.decodeStream(it, null, options) }
    } catch (error: IOException) {
        throw VecaError.Image("$asset: ${error.message}")
    }
    return fromBitmap(bitmap ?: throw VecaError.Image("$asset: not a picture"))
}

/** For showing, one pixel each; those of the colour [clear] are transparent. */
fun RgbImage.toBitmap(clear: Colour? = null): Bitmap {
    val none = clear?.let { (it.red shl 16) or (it.green shl 8) or it.blue }
    val pixels = IntArray(width * height) { i ->
        val at = 3 * i
        val rgb = (level(bytes, at) shl 16) or (level(bytes, at + 1) shl 8) or level(bytes, at + 2)
        if (rgb == none) 0 else (0xff shl 24) or rgb
    }
    return Bitmap.createBitmap(pixels, width, height, Bitmap.Config.ARGB_8888)
}

private fun level(bytes: ByteArray, at: Int) = bytes[at].toInt() and 0xff
