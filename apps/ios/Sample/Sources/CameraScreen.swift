import SwiftUI
import VecaEdge

/// The camera's picture, what the model says of it, and the controls.
struct CameraScreen: View {
    @Bindable var sample: Sample
    @State private var teaches = false

    var body: some View {
        ZStack(alignment: .bottom) {
            Color.black.ignoresSafeArea()
            picture
            VStack(alignment: .leading, spacing: 12) {
                if let shown = sample.shown {
                    HUD(shown: shown)
                }
                controls
            }
            .padding()
            .background(.ultraThinMaterial, in: RoundedRectangle(cornerRadius: 16))
            .padding()
        }
        .overlay { message }
    }

    @ViewBuilder private var picture: some View {
        if sample.showsFeatures, let features = sample.shown?.features?.makePicture() {
            Image(decorative: features, scale: 1)
                .interpolation(.high)
                .resizable()
                .scaledToFit()
        } else if let camera = sample.camera {
            ZStack {
                CameraPreview(session: camera.session)
                if let shown = sample.shown {
                    MaskView(shown: shown)
                }
            }
            .ignoresSafeArea()
        }
    }

    private var controls: some View {
        VStack(alignment: .leading) {
            Toggle("The device decides", isOn: $sample.automatic).disabled(sample.whyManual != nil)
            if let why = sample.whyManual {
                Text(why).font(.caption).foregroundStyle(.secondary)
            }
            if !sample.automatic, sample.budgets.count > 1 {
                CoresSlider(budgets: sample.budgets, cores: $sample.cores)
            }
            if !sample.heads.isEmpty {
                Button("Mask: \(sample.head ?? "none")") { sample.nextHead() }
            }
            Toggle("Teach it names", isOn: $teaches)
            if teaches || sample.problem != nil {
                TeachBar(sample: sample)
            }
            Toggle("What patches look like to the model", isOn: $sample.showsFeatures)
        }
    }

    @ViewBuilder private var message: some View {
        switch sample.phase {
        case .starting(let text):
            ProgressView(text).padding().background(.regularMaterial)
        case .failed(let text):
            ContentUnavailableView("It does not run", systemImage: "bolt.slash", description: Text(text))
        case .running:
            EmptyView()
        }
    }
}

/// A slider over the budgets that the model offers.
struct CoresSlider: View {
    let budgets: [Int]
    @Binding var cores: Int

    private var place: Binding<Double> {
        Binding(
            get: { Double(budgets.firstIndex(of: cores) ?? budgets.count - 1) },
            set: { cores = budgets[min(budgets.count - 1, max(0, Int($0.rounded())))] })
    }

    var body: some View {
        HStack {
            Text("C \(cores)").monospacedDigit()
            Slider(value: place, in: 0...Double(budgets.count - 1), step: 1).accessibilityLabel("Core budget")
        }
    }
}

/// The few numbers that matter.
struct HUD: View {
    let shown: Shown

    var body: some View {
        VStack(alignment: .leading, spacing: 4) {
            if let taught = shown.recognised {
                HStack {
                    Text(taught.label).fontWeight(.semibold).foregroundStyle(.green)
                    Spacer()
                    Text(String(format: "similarity %.2f", taught.similarity)).monospacedDigit()
                }
            } else {
                labels
            }
            if let dense = shown.dense {
                Legend(result: dense)
            }
            Text(numbers).font(.caption).monospacedDigit().foregroundStyle(.secondary)
            if !shown.result.reason.isEmpty {
                Text(shown.result.reason).font(.caption).foregroundStyle(.secondary)
            }
        }
    }

    /// The model's own labels, as far as it is sure.
    @ViewBuilder private var labels: some View {
        if !shown.labels.isEmpty && !shown.result.sure {
            Text("not sure").foregroundStyle(.secondary)
        }
        ForEach(shown.result.sure ? shown.labels : [], id: \.label) { prediction in
            HStack {
                Text(prediction.label).fontWeight(.semibold)
                Spacer()
                Text(prediction.probability, format: .percent.precision(.fractionLength(0))).monospacedDigit()
            }
        }
    }

    private var numbers: String {
        let result = shown.result
        let patches = "\(result.computedPatches) of \(result.grid.count) patches"
        let time = String(format: "%.1f ms, %.0f fps", result.latency * 1000, shown.rate)
        return "C \(result.cores), \(result.width) px, \(patches), \(time)"
    }
}
