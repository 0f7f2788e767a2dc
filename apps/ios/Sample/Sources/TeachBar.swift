import SwiftUI
import VecaEdge

/// Type or choose a name, hold the thing up, tap "Teach": the present frame becomes an example of it.
struct TeachBar: View {
    let sample: Sample
    @State private var name = ""

    var body: some View {
        VStack(alignment: .leading) {
            ScrollView(.horizontal) {
                HStack {
                    ForEach(sample.shown?.names ?? [], id: \.self) { known in
                        Button(known) { name = known }
                    }
                }
            }
            HStack {
                TextField("A name for what you hold up", text: $name)
                Button("Teach") {
                    Task { await sample.teach(name) }
                }
                Button("Undo") {
                    Task { await sample.undo() }
                }
                .disabled(sample.shown?.canUndo != true)
            }
            if let problem = sample.problem {
                Text(problem).font(.caption).foregroundStyle(.red)
            }
        }
    }
}
