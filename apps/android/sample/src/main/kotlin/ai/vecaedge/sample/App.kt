package ai.vecaedge.sample

import ai.vecaedge.Result
import ai.vecaedge.gallery.Match
import ai.vecaedge.governor.DeviceState
import androidx.camera.view.PreviewView
import androidx.compose.foundation.background
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.imePadding
import androidx.compose.foundation.layout.padding
import androidx.compose.material3.Button
import androidx.compose.material3.Slider
import androidx.compose.material3.Switch
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.FilterQuality
import androidx.compose.ui.unit.dp
import androidx.compose.ui.viewinterop.AndroidView
import kotlin.math.roundToInt

private val SHADE = Color(0x99000000)

/** The camera with what the model says, or the check. */
@Composable
fun App(pipeline: Pipeline) {
    var checking by remember { mutableStateOf(false) }
    Box(Modifier.fillMaxSize().background(Color.Black)) {
        if (checking) CheckScreen(pipeline) { checking = false } else CameraScreen(pipeline) {
            checking = true
            pipeline.check()
        }
    }
}

@Composable
private fun CameraScreen(pipeline: Pipeline, onCheck: () -> Unit) {
    var paints by remember { mutableStateOf(false) }
    var teaches by remember { mutableStateOf(false) }
    Box(Modifier.fillMaxSize()) {
        AndroidView(
            factory = { context ->
                PreviewView(context).also { pipeline.preview.setSurfaceProvider(it.surfaceProvider) }
            },
            modifier = Modifier.fillMaxSize(),
        )
        val features = pipeline.features
        if (paints && features != null) OverlayView(features, Modifier.fillMaxSize(), FilterQuality.None)
        pipeline.mask?.takeUnless { paints }?.let { OverlayView(it, Modifier.fillMaxSize(), FilterQuality.Low) }
        Hud(pipeline, Modifier.align(Alignment.TopStart))
        Column(Modifier.fillMaxWidth().imePadding().background(SHADE).padding(12.dp).align(Alignment.BottomCenter)) {
            Controls(pipeline)
            if (teaches) TeachBar(pipeline)
            Row {
                Text("features", color = Color.White)
                Switch(paints, { paints = it; pipeline.paints = it })
                if (pipeline.heads.isNotEmpty()) Button(pipeline::nextHead) { Text(pipeline.head ?: "no mask") }
                Button({ teaches = !teaches }) { Text(if (teaches) "done" else "teach") }
                Button(onCheck) { Text("check") }
            }
        }
    }
}

/** Labels, and how they came about. */
@Composable
private fun Hud(pipeline: Pipeline, modifier: Modifier) {
    Column(modifier.fillMaxWidth().background(SHADE).padding(12.dp)) {
        if (pipeline.message.isNotEmpty()) Text(pipeline.message, color = Color.Yellow)
        val result = pipeline.result ?: return@Column
        Labels(result, pipeline.recognised)
        pipeline.head?.let { result.dense[it] }?.let { Legend(it) }
        val rate = result.point?.let { ", ${it.rate.roundToInt()} fps" }.orEmpty()
        val patches = "${result.computedPatches} of ${result.features.rows * result.features.columns} patches"
        val milliseconds = (1000 * result.latency).roundToInt()
        Text("C ${result.cores}, ${result.width} px, $patches$rate, $milliseconds ms", color = Color.White)
        Text(result.reason, color = Color.LightGray)
        result.state?.let { Sensed(it) }
    }
}

/** The taught name if there is one, else the model's own labels as far as it is sure. */
@Composable
private fun Labels(result: Result, recognised: Match?) {
    if (recognised != null) {
        Text("${recognised.label}, similarity %.2f".format(recognised.similarity), color = Color.Green)
    } else if (result.sure) {
        for ((label, probability) in result.top(3)) {
            Text("${(100 * probability).roundToInt()} %  $label", color = Color.White)
        }
    } else if (result.logits != null) {
        Text("not sure", color = Color.LightGray)
    }
}

/** What the device says of itself, as far as it does. */
@Composable
private fun Sensed(state: DeviceState) {
    val heat = state.headroom?.let { "heat ${(100 * it).roundToInt()} %" }
    val cpu = state.cpuHeadroom?.let { "CPU ${(100 * it).roundToInt()} % free" }
    val known = listOfNotNull(heat, state.thermal?.toString(), cpu)
    if (known.isNotEmpty()) Text(known.joinToString(), color = Color.LightGray)
}

/** The governor, or a budget of one's own. */
@Composable
private fun Controls(pipeline: Pipeline) {
    val budgets = pipeline.budgets
    if (budgets.isEmpty()) return
    var auto by remember { mutableStateOf(pipeline.auto) }
    var index by remember { mutableStateOf(budgets.lastIndex.toFloat()) }
    Row {
        Text("auto", color = Color.White)
        Switch(auto, { auto = it; pipeline.auto = it })
        Text("${budgets[index.roundToInt()]} cores", color = if (auto) Color.Gray else Color.White)
    }
    Slider(
        value = index,
        onValueChange = {
            index = it
            pipeline.cores = budgets[it.roundToInt()]
        },
        enabled = !auto,
        valueRange = 0f..budgets.lastIndex.toFloat(),
        steps = maxOf(0, budgets.size - 2),
    )
}
