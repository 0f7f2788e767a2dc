package androidx.compose.ui.geometry

class Size {
    val width: Float get() = TODO()
    val height: Float get() = TODO()
}
