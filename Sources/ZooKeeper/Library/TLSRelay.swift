internal import Logging
internal import Reactor
internal import SmartStack

/// Carries libzookeeper's connections by TLS, which it does not speak: it is given a loopback address for each server, and
/// what it says there goes on to that server.
@LoopActor final class TLSRelay {
  private static let connectLimit: Duration = .seconds(10)

  private let tls: TLSOptions
  private let logger: Logger
  /// By the server's numeric address.
  private var doors: [String: PrivateListener] = [:]

  init(_ tls: TLSOptions, logger: Logger) { (self.tls, self.logger) = (tls, logger) }

  /// What libzookeeper connects to in place of the servers, in their order.
  /// - Parameter servers: each numeric address with its host.
  func addresses(of servers: [String: String]) -> [String] {
    for (address, door) in doors where servers[address] == nil {
      door.close()
      doors[address] = nil
    }
    return servers.sorted { $0.key < $1.key }.compactMap { address, host in
      if let door = doors[address] { return door.address }
      do throws(ListenError) {
        let door = try PrivateListener { [weak self] in
          self?.carry($0, to: address, of: host)
        } onStranger: { [logger] in
          logger.warning("connection of another process refused", with: [.host: $0])
        }
        doors[address] = door
        return door.address
      } catch {
        logger.error("server not reached by TLS", with: [.host: address, .reason: error])
        return nil
      }
    }
  }

  private func carry(_ near: ByteStream, to address: String, of host: String) {
    guard let endpoint = ServerList.endpoint(of: address) else { return near.close() }
    Task { @LoopActor [tls, logger] in
      defer { near.close() }
      do {
        let far = try await ByteStream.connect(to: endpoint, tls: tls.toward(host), deadline: TLSRelay.connectLimit)
        far.setDeadline(after: nil)
        async let back: Void = TLSRelay.copy(from: far, to: near)
        await TLSRelay.copy(from: near, to: far)
        await back
      } catch {
        // What lasts is in the report of the outage.
        logger.debug("server not reached by TLS", with: [.host: address, .reason: "\(error)"])
      }
    }
  }

  /// Copies until one of the two ends, and ends the other one with it.
  private static func copy(from source: ByteStream, to target: ByteStream) async {
    while let bytes = try? await source.read(upTo: 64 << 10), !bytes.isEmpty {
      guard (try? target.write(bytes)) != nil, (try? await target.flush()) != nil else { break }
    }
    source.close()
    target.close()
  }
}
