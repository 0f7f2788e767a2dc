package androidx.compose.ui.unit

class Dp

class IntOffset {
    companion object {
        val Zero: IntOffset get() = TODO()
    }
}

fun IntOffset(x: Int, y: Int): IntOffset = TODO()

class IntSize

fun IntSize(width: Int, height: Int): IntSize = TODO()

val Int.dp: Dp get() = TODO()
