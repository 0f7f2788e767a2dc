package ai.vecaedge.sample

import androidx.compose.foundation.horizontalScroll
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.rememberScrollState
import androidx.compose.material3.Button
import androidx.compose.material3.Text
import androidx.compose.material3.TextField
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier

/** Type or choose a name, hold the thing up, tap "teach": the present frame becomes an example of it. */
@Composable
fun TeachBar(pipeline: Pipeline) {
    val teacher = pipeline.teacher ?: return
    var name by remember { mutableStateOf("") }
    Column(Modifier.fillMaxWidth()) {
        Row(Modifier.horizontalScroll(rememberScrollState())) {
            for (known in teacher.names) Button({ name = known }) { Text(known) }
        }
        TextField(
            value = name,
            onValueChange = { name = it },
            modifier = Modifier.fillMaxWidth(),
            placeholder = { Text("a name for what you hold up") },
            singleLine = true,
        )
        Row {
            Button({ pipeline.teach(name) }) { Text("teach") }
            if (teacher.canUndo) Button(pipeline::undo) { Text("undo") }
        }
    }
}
