"""The phases of a connection, told by an integer clock: what each may take, and what ends it."""

from collector_plugin.http_deadlines import ConnectionGuard, Deadlines, Phase

LIMITS = Deadlines(head_ns=60, body_pause_ns=30, body_total_ns=100, idle_ns=90, write_ns=20)


def test_silent_connection_ends_with_the_time_for_a_head() -> None:
    """Who connects and says nothing is not waited for any longer than who says little."""
    guard = ConnectionGuard(LIMITS, 1000)
    assert guard.find_overdue(1059) is None
    assert guard.find_overdue(1060) is Phase.HEAD


def test_first_bytes_buy_no_time() -> None:
    """The first head has its time from the connection on."""
    guard = ConnectionGuard(LIMITS, 1000)
    guard.begin_head(1050)
    assert guard.find_overdue(1060) is Phase.HEAD


def test_body_must_go_on() -> None:
    """A pause ends it, and so does the whole time, however steadily it trickles."""
    guard = ConnectionGuard(LIMITS, 1000)
    guard.begin_body(1010)
    assert guard.find_overdue(1040) is Phase.BODY
    for now in range(1020, 1110, 10):
        guard.continue_body(now)
        assert guard.find_overdue(now + 9) is None
    assert guard.find_overdue(1110) is Phase.BODY


def test_answer_takes_what_it_takes() -> None:
    """Delivery is not the client's to hasten."""
    guard = ConnectionGuard(LIMITS, 1000)
    guard.begin_body(1000)
    guard.end_request(1001, is_answered=False)
    assert guard.find_overdue(10**12) is None
    guard.begin_idle(5000)
    assert guard.find_overdue(5089) is None
    assert guard.find_overdue(5090) is Phase.IDLE


def test_next_head_has_its_time_from_its_first_byte() -> None:
    """On a connection that was kept."""
    guard = ConnectionGuard(LIMITS, 1000)
    guard.begin_body(1000)
    guard.end_request(1001, is_answered=True)
    guard.begin_head(1080)
    assert guard.find_overdue(1139) is None
    assert guard.find_overdue(1140) is Phase.HEAD


def test_answer_does_not_excuse_the_next_request() -> None:
    """While a second request comes in, the answer to the first changes nothing for it."""
    guard = ConnectionGuard(LIMITS, 1000)
    guard.begin_body(1000)
    guard.end_request(1001, is_answered=False)
    guard.begin_head(1002)
    guard.begin_idle(1003)
    assert guard.find_overdue(1062) is Phase.HEAD


def test_refused_body_has_its_time_too() -> None:
    """An answer before the body's end does not keep the connection open for ever."""
    guard = ConnectionGuard(LIMITS, 1000)
    guard.begin_body(1000)
    guard.begin_idle(1001)
    assert guard.find_overdue(1030) is Phase.BODY
    guard.end_request(1020, is_answered=True)
    assert guard.phase is Phase.IDLE


def test_client_that_takes_no_answer_is_not_waited_for() -> None:
    """Whatever else it does."""
    guard = ConnectionGuard(LIMITS, 1000)
    guard.stop_writing(1000)
    guard.stop_writing(1010)
    assert guard.find_overdue(1020) is Phase.ANSWER
    guard.resume_writing()
    assert guard.find_overdue(1020) is None


def test_body_has_less_time_while_others_find_no_room() -> None:
    """From its beginning, however steadily it comes; a head, or an answer, takes no room."""
    guard = ConnectionGuard(Deadlines(head_ns=60, body_pause_ns=30, body_total_ns=100, body_short_ns=20), 1000)
    assert guard.find_overdue(1030, is_short=True) is None
    guard.begin_body(1030)
    guard.continue_body(1045)
    assert guard.find_overdue(1049, is_short=True) is None
    assert guard.find_overdue(1050, is_short=True) is Phase.SHORT
    assert guard.find_overdue(1050, is_short=False) is None
    guard.end_request(1060, is_answered=False)
    assert guard.find_overdue(1070, is_short=True) is None
