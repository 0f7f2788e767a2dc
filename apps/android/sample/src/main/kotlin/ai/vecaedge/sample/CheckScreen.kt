package ai.vecaedge.sample

import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.padding
import androidx.compose.material3.Button
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.unit.dp

/** Three photos at three core budgets, held against the checkpoint in fp32. */
@Composable
fun CheckScreen(pipeline: Pipeline, onBack: () -> Unit) {
    Column(Modifier.fillMaxSize().padding(16.dp)) {
        Text(pipeline.message, color = Color.Yellow)
        for (row in pipeline.checked.orEmpty()) {
            val numbers = "cosine %.4f, logits within %.2f".format(row.embeddingCosine, row.logitsApart)
            val text = "${row.photo}, C ${row.cores}: ${row.label}, $numbers"
            Text(text, color = if (row.passed) Color.Green else Color.Red)
        }
        Button(onBack) { Text("back") }
    }
}
