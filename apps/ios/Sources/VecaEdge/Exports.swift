// An app imports VecaEdge alone and has Model, Session, Governor and the rest with it.
@_exported import VecaEdgeCore
