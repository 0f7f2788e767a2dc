package androidx.compose.ui.graphics

import android.graphics.Bitmap

class Color {
    companion object {
        val Black: Color get() = TODO()
        val Gray: Color get() = TODO()
        val Green: Color get() = TODO()
        val LightGray: Color get() = TODO()
        val Red: Color get() = TODO()
        val White: Color get() = TODO()
        val Yellow: Color get() = TODO()
        val Unspecified: Color get() = TODO()
    }
}

fun Color(color: Long): Color = TODO()

fun Color(red: Int, green: Int, blue: Int, alpha: Int = 0xFF): Color = TODO()

interface ImageBitmap {
    val width: Int
    val height: Int
}

fun Bitmap.asImageBitmap(): ImageBitmap = TODO()

class FilterQuality {
    companion object {
        val None: FilterQuality get() = TODO()
        val Low: FilterQuality get() = TODO()
    }
}

class ColorFilter

class BlendMode {
    companion object {
        val SrcOver: BlendMode get() = TODO()
    }
}
