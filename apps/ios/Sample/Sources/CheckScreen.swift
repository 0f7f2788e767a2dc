import SwiftUI
import VecaEdge

/// The golden check: does this app, on this device, say what PyTorch says?
struct CheckScreen: View {
    let sample: Sample
    @State private var outcomes: [GoldenCheck.Outcome] = []
    @State private var problem: String?
    @State private var running = false

    var body: some View {
        NavigationStack {
            List {
                if let problem {
                    Text(problem)
                }
                ForEach(outcomes, id: \.self) { outcome in
                    OutcomeRow(outcome: outcome)
                }
            }
            .navigationTitle("Golden check")
            .toolbar {
                Button("Run") {
                    Task { await run() }
                }
                .disabled(running || sample.worker == nil)
            }
            .overlay { if running { ProgressView() } }
        }
    }

    private func run() async {
        guard let worker = sample.worker else { return }
        running = true
        sample.paused = true
        defer {
            running = false
            sample.paused = false
        }
        do {
            outcomes = try await worker.check()
            problem = nil
        } catch let error as VecaError {
            problem = error.message
        } catch {
            problem = error.localizedDescription
        }
    }
}

private struct OutcomeRow: View {
    let outcome: GoldenCheck.Outcome

    var body: some View {
        Label {
            VStack(alignment: .leading) {
                Text("\(outcome.photo), C \(outcome.cores): \(outcome.label)")
                Text(String(format: "cosine %.5f, largest difference %.3f", outcome.cosine, outcome.difference))
                    .font(.caption)
                    .foregroundStyle(.secondary)
            }
        } icon: {
            Image(systemName: outcome.passed ? "checkmark.circle.fill" : "xmark.octagon.fill")
                .foregroundStyle(outcome.passed ? .green : .red)
        }
    }
}
