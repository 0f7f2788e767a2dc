package androidx.compose.foundation.layout

import androidx.compose.runtime.Composable
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.unit.Dp

interface BoxScope {
    fun Modifier.align(alignment: Alignment): Modifier
}

interface ColumnScope

interface RowScope

fun Modifier.fillMaxSize(): Modifier = TODO()

fun Modifier.fillMaxWidth(): Modifier = TODO()

fun Modifier.imePadding(): Modifier = TODO()

fun Modifier.size(size: Dp): Modifier = TODO()

fun Modifier.padding(all: Dp): Modifier = TODO()

@Composable
fun Box(modifier: Modifier = Modifier, content: @Composable BoxScope.() -> Unit): Unit = TODO()

@Composable
fun Column(modifier: Modifier = Modifier, content: @Composable ColumnScope.() -> Unit): Unit = TODO()

@Composable
fun Row(modifier: Modifier = Modifier, content: @Composable RowScope.() -> Unit): Unit = TODO()
