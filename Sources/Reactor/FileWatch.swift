@LoopActor public final class FileWatch {
  public init(path: String, onChange: @escaping @LoopActor ([String]?) -> Void) throws {}
  public func cancel() {}
}
