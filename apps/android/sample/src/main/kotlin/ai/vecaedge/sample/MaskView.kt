package ai.vecaedge.sample

import ai.vecaedge.DenseResult
import ai.vecaedge.camera.Box as Area
import ai.vecaedge.runtime.Colour
import ai.vecaedge.runtime.DenseKind
import android.graphics.Bitmap
import androidx.compose.foundation.Canvas
import androidx.compose.foundation.background
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.FilterQuality
import androidx.compose.ui.graphics.asImageBitmap
import androidx.compose.ui.unit.IntOffset
import androidx.compose.ui.unit.IntSize
import androidx.compose.ui.unit.dp
import kotlin.math.roundToInt

/** Classes that the legend names, the largest first. */
private const val LEGEND = 4

/** A picture of what the model saw, and where that lies in the frame, pixels. */
class Overlay(val picture: Bitmap, val crop: Area, val frameWidth: Int, val frameHeight: Int)

/** The picture over the part of the preview that the model saw; the preview fills its view. */
@Composable
fun OverlayView(overlay: Overlay, modifier: Modifier, filterQuality: FilterQuality) {
    val picture = overlay.picture.asImageBitmap()
    Canvas(modifier) {
        val (wide, high) = Pair(size.width.roundToInt(), size.height.roundToInt())
        val place = overlay.crop.shown(overlay.frameWidth, overlay.frameHeight, wide, high, fills = true)
        drawImage(
            picture, dstOffset = IntOffset(place.x, place.y), dstSize = IntSize(place.width, place.height),
            alpha = 0.5f, filterQuality = filterQuality,
        )
    }
}

/** What the colours mean: the largest classes with their share of the picture, or the ends of the scale. */
@Composable
fun Legend(result: DenseResult) {
    val task = result.task
    Column {
        if (task.kind == DenseKind.SEGMENTATION) {
            val coloured = result.areas().values.withIndex().drop(if (task.background == null) 0 else 1)
            for ((index, share) in coloured.sortedByDescending { it.value }.take(LEGEND)) Entry(task.colours[index], "${(100 * share).roundToInt()} %  ${task.labels[index]}")
        } else {
            for (end in listOf(task.range.start, task.range.endInclusive)) {
                Entry(result.shade(end.toFloat()), "%.3g %s".format(end, task.unit))
            }
        }
    }
}

@Composable
private fun Entry(colour: Colour, text: String) {
    Row {
        Box(Modifier.padding(4.dp).size(12.dp).background(Color(colour.red, colour.green, colour.blue))) {}
        Text(text, color = Color.White)
    }
}
