internal import Reactor

/// What a `POST /spool/…` wants done.
enum SpoolOrder: Equatable {
  case up
  case down(reason: String, expiration: Double?, creation: Double?)

  /// Reads the form: `status=up`, or `status=down` with `reason` and perhaps `expiration` and `creation`.
  @LoopActor init(_ exchange: HTTPExchange, query: Substring) throws(PostRefusal) {
    let form = FormBody(query: query, contentType: exchange.header("Content-Type"), body: exchange.body)
    do throws(Refusal) {
      self = try SpoolOrder(form)
    } catch {
      throw PostRefusal(status: 400, sentence: error.sentence)
    }
  }

  init(_ form: FormBody) throws(Refusal) {
    switch try form.text("status") {
    case "up": self = .up
    case "down":
      guard let reason = try form.text("reason") else { throw Refusal("`reason` is missing; it may be empty") }
      self = .down(reason: reason, expiration: try form.time("expiration"), creation: try form.time("creation"))
    case nil: throw Refusal("`status` is missing: a form with status=up, or status=down and reason, is expected")
    default: throw Refusal("status must be up or down")
    }
  }
}

/// A `POST` that is not obeyed.
struct PostRefusal: Error, Equatable {
  let status: Int
  let sentence: String
}
