@LoopActor public enum HTTPClient {
  public static func send(
    _ request: HTTPRequest, deadline: Duration, limits: HTTPClientLimits = HTTPClientLimits()
  ) async throws -> HTTPResponse {
    throw StreamError.closed(request.endpoint)
  }
}
