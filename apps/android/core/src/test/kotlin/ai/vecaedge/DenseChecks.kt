package ai.vecaedge

import ai.vecaedge.camera.Box
import ai.vecaedge.runtime.Colour
import ai.vecaedge.runtime.DenseHead
import ai.vecaedge.runtime.DenseKind
import ai.vecaedge.runtime.DenseTask
import java.io.File

/** Dense heads, and everything that can be asked of their results. */
fun Checks.dense(golden: File) {
    val file = Table.read(File(golden, "dense.json"))
    for (case in file.tables("heads")) {
        val head = denseHeadOf(case)
        val outputs = head.outputs(floatsOf(case.lists("features").flatten()))
        near(outputs, case.lists("outputs").flatten().map { it as Double }, "outputs of ${head.task.name}")
    }
    file.tables("results").forEach(::denseResult)
    for (case in file.tables("refused")) {
        fails<VecaError.File>("the head ${case["name"]}, ${case["table"]}") {
            DenseTask.read(case.text("name"), case["table"])
        }
    }
    refusals()
    placement()
}

private fun Checks.denseResult(case: Table) {
    val task = taskOf(case)
    val name = task.name
    val (rows, columns) = case.ints("grid")
    val (x, y, width, height) = case.ints("crop")
    val computed = if ("computed" in case) BooleanArray(rows * columns) { it in case.ints("computed") } else null
    val outputs = floatsOf(case.lists("outputs").flatten())
    val result = DenseResult.of(task, outputs, rows, columns, Box(x, y, width, height), computed)
    same(listOf(result.rows, result.columns), listOf(rows * task.cells, columns * task.cells), "$name: cells")
    near(result.cells, case.numbers("cells"), "$name: cells")
    if (computed != null) same(indices(result.computed!!), case.ints("computed_cells"), "$name: computed")
    for (at in case.tables("at")) {
        val (high, wide) = Pair(at.int("height"), at.int("width"))
        near(result.at(high, wide), at.numbers("values"), "$name: at $wide x $high")
        if ("classes" in at) same(result.classes(high, wide).toList(), at.ints("classes"), "$name: $wide x $high")
        painted(result, high, wide)
    }
    if (task.kind == DenseKind.REGRESSION) {
        near(result.values(), case.numbers("values"), "$name: values")
        fails<VecaError.Argument>("classes of a regression") { result.classes() }
        fails<VecaError.Argument>("areas of a regression") { result.areas() }
        same(listOf(-9f, 0.5f, 8f).map(result::shade).distinct().size, 2, "shades at and beyond the ends of the range")
        return
    }
    same(task.background, task.colours[0].takeIf { name == "people" }, "$name: the background's colour")
    same(result.classes().toList(), case.ints("classes"), "$name: classes")
    near(result.probabilities(), case.numbers("probabilities"), "$name: probabilities", 0.0, 1e-6)
    val areas = case.table("areas")
    same(result.areas().keys.toList(), task.labels, "$name: areas")
    for ((label, share) in result.areas()) near(share, areas.number(label), "$name: area of $label")
    fails<VecaError.Argument>("values of a segmentation") { result.values() }
}

/** Every pixel of a painted result has the colour of its class, or of its value. */
private fun Checks.painted(result: DenseResult, height: Int, width: Int) {
    val picture = result.paint(height, width)
    val at = result.at(height, width)
    val wanted = if (result.task.kind == DenseKind.REGRESSION) at.map(result::shade)
    else result.classes(height, width).map { result.task.colours[it] }
    same(levelsOf(picture).chunked(3).map { (r, g, b) -> Colour(r, g, b) }, wanted, "colours of ${result.task.name}")
}

private fun Checks.refusals() {
    val task = DenseTask("depth", DenseKind.REGRESSION)
    val result = DenseResult.of(task, FloatArray(4), 2, 2, Box(0, 0, 8, 8))
    for ((height, width) in listOf(0 to 4, 4 to -1, 16385 to 1, -2 to -2)) {
        fails<VecaError.Argument>("$width x $height pixels") { result.at(height, width) }
    }
    fails<VecaError.Argument>("too many values") { result.paint(16384, 16384) }
    fails<VecaError.File>("too many heads") {
        DenseTask.readAll((0..16).associate { "depth$it" to mapOf("kind" to "regression") })
    }
    fails<VecaError.Argument>("a weight of another size") { DenseHead(task, FloatArray(4), FloatArray(2)) }
}

/** Where the part of the frame that the model saw lies in a view that shows the frame. */
private fun Checks.placement() {
    val crop = Box(80, 0, 480, 480)
    same(crop.shown(640, 480, 320, 240, fills = false), Box(40, 0, 240, 240), "a view of the frame's shape")
    same(crop.shown(640, 480, 320, 480, fills = false), Box(40, 120, 240, 240), "a view with room above and below")
    same(crop.shown(640, 480, 320, 480, fills = true), Box(-80, 0, 480, 480), "a view that the frame fills")
    same(Box(0, -80, 640, 640).shown(640, 480, 320, 240, fills = false), Box(0, -40, 320, 320), "a padded square")
}

fun taskOf(case: Table): DenseTask = DenseTask.read(case.table("task").text("name"), case["task"])

fun denseHeadOf(case: Table) =
    DenseHead(taskOf(case), floatsOf(case.lists("weight").flatten()), floatsOf(case.numbers("bias")))

fun floatsOf(values: List<*>): FloatArray = values.map { (it as Double).toFloat() }.toFloatArray()

fun indices(flags: BooleanArray): List<Int> = flags.indices.filter { flags[it] }
