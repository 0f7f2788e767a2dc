package androidx.compose.ui.layout

interface ContentScale {
    companion object {
        val Fit: ContentScale get() = TODO()
        val FillWidth: ContentScale get() = TODO()
    }
}
