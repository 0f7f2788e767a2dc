package ai.vecaedge.sample

import android.Manifest
import android.content.pm.PackageManager
import android.os.Bundle
import android.view.WindowManager
import androidx.activity.ComponentActivity
import androidx.activity.compose.setContent
import androidx.activity.result.contract.ActivityResultContracts

/** One activity: asks for the camera, then shows it. The pipeline lives as long as the activity does. */
class MainActivity : ComponentActivity() {
    private lateinit var pipeline: Pipeline

    private val permission = registerForActivityResult(ActivityResultContracts.RequestPermission()) { granted ->
        if (granted) pipeline.openCamera(this) else pipeline.refuse("the camera was not allowed")
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        pipeline = Pipeline(applicationContext)
        setContent { App(pipeline) }
        val granted = checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED
        if (granted) pipeline.openCamera(this) else permission.launch(Manifest.permission.CAMERA)
    }

    override fun onDestroy() {
        super.onDestroy()
        pipeline.close()
    }
}
