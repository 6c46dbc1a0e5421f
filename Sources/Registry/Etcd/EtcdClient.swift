internal import Reactor

/// Why an etcd did not do what it was asked to.
enum EtcdError: Error, Equatable, CustomStringConvertible {
  /// No endpoint gave an answer; what each did instead.
  case unreachable([String])
  /// An endpoint answered no.
  case refused(request: String, reason: String)
  /// The lease is gone: it was not kept alive in time, or the etcd has lost its data.
  case leaseNotFound

  var description: String {
    switch self {
    case .unreachable(let reasons): "no etcd answers: \(reasons.sorted().joined(separator: "; "))"
    case .refused(let request, let reason): "etcd refused \(request): \(reason)"
    case .leaseNotFound: "the lease has expired"
    }
  }
}

/// Sends requests to the endpoints of one etcd in turn, beginning with the one that answered last.
@LoopActor final class EtcdClient {
  /// For one request to one endpoint.
  static let patience = Duration.seconds(3)

  /// Whether the last request was answered.
  private(set) var isReachable = false
  private let endpoints: [Endpoint]
  private var current = 0

  init(_ endpoints: [Endpoint]) { self.endpoints = endpoints }

  /// The first answer of an endpoint that is in working order.
  /// - Throws: ``EtcdError/unreachable(_:)``, or `CancellationError`.
  func send(
    _ method: String, target: String, body: String = "", patience: Duration = EtcdClient.patience
  ) async throws -> HTTPResponse {
    var problems: [String] = []
    let first = current
    for step in endpoints.indices {
      let index = (first + step) % endpoints.count
      do {
        // etcd 2 takes forms with PUT, etcd 3 takes JSON with POST.
        let type = method == "PUT" ? "application/x-www-form-urlencoded" : "application/json"
        let headers = body.isEmpty ? [] : [HTTPHeader(name: "Content-Type", value: type)]
        let request = HTTPRequest(
          method: method, endpoint: endpoints[index], target: target, headers: headers, body: Array(body.utf8))
        let response = try await HTTPClient.send(request, deadline: patience)
        // A member without a leader, or one that is overloaded: another one may be better off.
        if response.status < 500 {
          (current, isReachable) = (index, true)
          return response
        }
        problems.append("\(endpoints[index]): HTTP \(response.status) \(EtcdReply(response.body).error ?? "")")
      } catch let error as CancellationError {
        throw error
      } catch {
        problems.append("\(error)")
      }
    }
    current = (first + 1) % endpoints.count
    isReachable = false
    throw EtcdError.unreachable(problems)
  }
}
