extension StatusPage {
  /// The page's looks. On narrow screens each row of a table becomes a card.
  static let style = """

    :root { --ink: #1c2128; --quiet: #57606a; --paper: #ffffff; --card: #f6f8fa; --line: #d0d7de; --accent: #0550ae;
      --up: #1a7f37; --down: #b3261e; --drained: #8a5a00; --soft: #ffffff; }
    @media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9aa4af; --paper: #0d1117; --card: #161b22;
      --line: #3a424d; --accent: #79b8ff; --up: #3fb950; --down: #ff7b72; --drained: #e3b341; --soft: #0d1117; } }
    * { box-sizing: border-box; }
    body { margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--paper); color: var(--ink);
      font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
    header { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1rem; }
    h1 { font-size: 1.5rem; margin: 0; }
    h1 small { font-weight: 400; font-size: 1rem; color: var(--quiet); }
    h2 { font-size: 1.125rem; margin: 0 0 .5rem; }
    p { margin: .25rem 0; }
    section { margin: 1.75rem 0; }
    a { color: var(--accent); }
    .quiet { color: var(--quiet); font-size: .9rem; }
    .count { color: var(--quiet); font-weight: 400; margin-left: .25rem; }
    .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    .notice { padding: .6rem .8rem; border-left: 4px solid var(--up); background: var(--card); border-radius: 4px; }
    .notice.bad { border-color: var(--down); }
    table { width: 100%; border-collapse: collapse; }
    th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line);
      vertical-align: baseline; font-weight: 400; overflow-wrap: anywhere; }
    thead th { color: var(--quiet); font-size: .85rem; white-space: nowrap; }
    tbody th { font-weight: 600; min-width: 14rem; }
    em { font-style: normal; color: var(--quiet); font-weight: 400; }
    time, .still, td.short { white-space: nowrap; }
    td.action { text-align: right; padding-right: 0; width: 1%; white-space: nowrap; }
    .badge { display: inline-block; padding: 0 .5rem; border-radius: 1rem; border: 1px solid var(--quiet);
      color: var(--quiet); font-size: .85rem; white-space: nowrap; }
    .badge.up { color: var(--up); border-color: var(--up); }
    .badge.down { background: var(--down); border-color: var(--down); color: var(--soft); }
    .badge.drained { color: var(--drained); border-color: var(--drained); }
    input, select, button, summary { font: inherit; font-size: .9rem; }
    input, select { padding: .35rem .5rem; border: 1px solid var(--line); border-radius: 6px; background: var(--paper);
      color: var(--ink); max-width: 100%; }
    button, summary { padding: .3rem .75rem; border: 1px solid var(--line); border-radius: 6px; background: var(--card);
      color: var(--ink); cursor: pointer; }
    summary { display: inline-block; list-style: none; }
    summary::-webkit-details-marker { display: none; }
    button:hover, summary:hover { border-color: var(--accent); }
    button.danger { border-color: var(--down); color: var(--down); }
    :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
    label { display: block; font-size: .85rem; color: var(--quiet); }
    label input, label select { display: block; }
    form.line { display: flex; flex-wrap: wrap; align-items: end; gap: .5rem; margin: .5rem 0; }
    form.line > label[for] { align-self: center; }
    details form { display: grid; gap: .5rem; text-align: left; min-width: 15rem; margin-top: .5rem; white-space: normal; }
    details input, details select { width: 100%; }
    footer { border-top: 1px solid var(--line); padding-top: .75rem; display: flex; flex-wrap: wrap; gap: .25rem .75rem; }
    @media (max-width: 40rem) {
      thead { display: none; }
      table, tbody, tr, th, td { display: block; width: auto; }
      tr { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem;
        margin-bottom: .6rem; }
      th, td { border: 0; padding: .1rem 0; }
      tbody th { min-width: 0; }
      td.short { display: inline-block; margin-right: 1rem; white-space: normal; }
      td[data-label]::before { content: attr(data-label) ": "; color: var(--quiet); font-size: .85rem; }
      td.action { width: auto; text-align: left; padding-top: .4rem; }
      td.action:empty { display: none; }
      button, summary, input, select { padding: .55rem .75rem; }
      form.line:not([role]) { flex-direction: column; align-items: stretch; }
      form.line > input { flex: 1; min-width: 0; }
      label input, label select { width: 100%; }
    }

    """
}
