package androidx.compose.ui

interface Modifier {
    companion object : Modifier
}

interface Alignment {
    companion object {
        val TopStart: Alignment get() = TODO()
        val Center: Alignment get() = TODO()
        val BottomCenter: Alignment get() = TODO()
    }
}
