package androidx.compose.foundation

import androidx.compose.runtime.Composable
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.drawscope.DrawScope

fun Modifier.background(color: Color): Modifier = TODO()

class ScrollState

@Composable
fun rememberScrollState(initial: Int = 0): ScrollState = TODO()

fun Modifier.horizontalScroll(
    state: ScrollState, enabled: Boolean = true, flingBehavior: Nothing? = null, reverseScrolling: Boolean = false,
): Modifier = TODO()

@Composable
fun Canvas(modifier: Modifier, onDraw: DrawScope.() -> Unit): Unit = TODO()
