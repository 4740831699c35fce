/* SPDX-License-Identifier: Apache-2.0 */
/* What a first point does: find the context of a message, and start its transit.
 *
 * What was found out lies in the workspace and is read from there again: the verifier then knows nothing of it, and follows
 * the rest once instead of once for every way that leads there.
 */
/* Counts what was found in a request's header block. Returns 1 where that is a context which is sampled. */
static __always_inline int count_result(enum search_result result, const struct context *context)
{
	switch (result) {
	case CONTEXT_SAMPLED:
		count(CONTEXT_TRACEPARENT + context->format - TRACEPARENT);
		return 1;
	case CONTEXT_UNSAMPLED:
		count(CONTEXT_TRACEPARENT + context->format - TRACEPARENT);
		count(REQUEST_UNSAMPLED);
		return 0;
	case CONTEXT_BAD:
		count(REQUEST_BAD_CONTEXT);
		return 0;
	case CONTEXT_NONE:
		count(REQUEST_NO_CONTEXT);
		return 0;
	case BLOCK_UNFINISHED:
	case BLOCK_UNREADABLE:
		count(REQUEST_UNFINISHED);
		return 0;
	case BLOCK_TOO_LONG:
		count(REQUEST_TOO_LONG);
		return 0;
	}
	return 0;
}

/* Whether a transit more is within the limit of whoever sent the message. */
static __always_inline int is_within_rate(struct __sk_buff *skb, struct workspace *work, enum point point)
{
	struct rate_key rate = rate_key_of(skb, &work->message, point);

	if (!exceeds_rate(work, &rate))
		return 1;
	count(RATE_LIMITED);
	return 0;
}

/* Lets the transit go that was started before the context was known. */
static __always_inline void give_up_transit(const struct transit_key *key)
{
	__u64 *where, tag;
	struct transit_slot *slot = find_transit(key, &where, &tag);

	if (slot)
		drop_transit(where, tag, slot);
}

/* Gives the transit of a request its context, which came with a later segment. */
static __always_inline void complete_transit(struct workspace *work, const struct transit_key *key)
{
	__u64 *where, tag;
	struct transit_slot *slot = find_transit(key, &where, &tag);

	if (!slot)
		return; /* it found no room, and was counted */
	if (!enter_exchange(key, work)) {
		drop_transit(where, tag, slot);
		return;
	}
	slot->transit.contexts[0] = work->context;
	slot->transit.flags |= SEGMENTS | work->flags;
	count(TRANSITS_STARTED);
	if (has_waited(slot) && emit_transit(where, tag, slot, 0, 0))
		count(TRANSITS_EMITTED);
}

/* Judges a request of which no segment came before this one. */
static __always_inline enum verdict judge_first_segment(struct workspace *work, enum search_result result)
{
	const struct transit_key *key = &work->first;

	if (result != CONTEXT_UNSAMPLED && result != BLOCK_UNREADABLE && !names_method(work))
		return LEAVE_ALONE;
	if (result == CONTEXT_SAMPLED)
		fetch_early(key);
	/* What is of no use, and has no body, is spared the question. */
	int matters = result == CONTEXT_SAMPLED || READ_AGAIN(work->block.wants_body);
	if (matters && is_inside_message(work, key)) {
		if (result == CONTEXT_SAMPLED || result == BLOCK_UNFINISHED) {
			count(REQUEST_PIPELINED);
			return LEAVE_ALONE;
		}
	} else if (matters || result != CONTEXT_UNSAMPLED) {
		note_request(work, key);
	}
	MEETING_POINT();
	if (result == BLOCK_UNFINISHED) {
		note_time(work);
		if (!copy_known_context(work, key)) {
			work->waits = FOR_CONTEXT;
			return START_UNFINISHED;
		}
		work->flags = SEGMENTS;
		result = CONTEXT_SAMPLED;
	}
	return count_result(result, &work->context) ? START_REQUEST : LEAVE_ALONE;
}

/* Judges a request whose header block has several segments, of which this is the next. */
static __always_inline enum verdict judge_next_segment(struct workspace *work, enum search_result result)
{
	note_request(work, &work->first);
	if (work->waited == FOR_LENGTH)
		return LEAVE_ALONE;
	if (result == BLOCK_UNFINISHED) {
		if (work->segments < SEGMENTS_MAX) {
			work->waits = FOR_CONTEXT;
			return GO_ON_UNFINISHED;
		}
		result = BLOCK_TOO_LONG;
	}
	return count_result(result, &work->context) ? COMPLETE : GIVE_UP;
}

static __always_inline enum verdict judge_request(struct workspace *work)
{
	enum search_result result = READ_AGAIN(work->result);

	return READ_AGAIN(work->segments) == 1 ? judge_first_segment(work, result) : judge_next_segment(work, result);
}

/* Walks the header block of a request, for its context, or of an interim response, for what comes behind it. */
static __always_inline enum verdict search_block(struct __sk_buff *skb, struct workspace *work)
{
	MEETING_POINT(); /* of both kinds, which differ in what they left on the stack */
	work->result = search_context(skb, work->message.payload_offset, work->message.payload_length, &work->block,
				      &work->context);
	if (READ_AGAIN(work->message.kind) == HTTP_RESPONSE && READ_AGAIN(work->segments) == 1)
		return judge_behind_interim(work);
	return judge_request(work);
}

/* Waits for the message's next segment. Where there is no room for that, a request without a context is given up. */
static __always_inline void wait_for_next(struct workspace *work)
{
	if (keep_block(work) || work->waits != FOR_CONTEXT)
		return;
	count(REQUEST_UNFINISHED);
	work->verdict = GIVE_UP;
}

/* Does what was judged. The rate limit comes before the exchange, so that a flood does not push out its neighbours'. */
static __always_inline void execute(struct __sk_buff *skb, struct workspace *work, enum point point)
{
	struct transit_key key = work->first;
	enum verdict verdict = READ_AGAIN(work->verdict);
	int starts = verdict == START_REQUEST || verdict == START_RESPONSE || verdict == START_UNFINISHED;

	if (verdict != START_RESPONSE && verdict != START_UNFINISHED)
		note_time(work);
	if (starts && !is_within_rate(skb, work, point))
		return;
	if (verdict == START_REQUEST && !enter_exchange(&key, work))
		work->verdict = LEAVE_ALONE;
	MEETING_POINT();
	if (READ_AGAIN(work->waits))
		wait_for_next(work);
	MEETING_POINT();
	verdict = READ_AGAIN(work->verdict);
	if (verdict == LEAVE_ALONE || verdict == GO_ON_UNFINISHED)
		return;
	if (verdict == COMPLETE)
		complete_transit(work, &key);
	else if (verdict == GIVE_UP)
		give_up_transit(&key);
	else if (add_transit(skb, work, &key, point, verdict == START_UNFINISHED) && verdict != START_UNFINISHED)
		count(TRANSITS_STARTED);
}

/* The point that called. */
static __always_inline enum point point_of(struct workspace *work)
{
	return BOUNDED(READ_AGAIN(work->point) - 1, POINTS) + 1;
}

/* Starts the message's transit at a node's first point, or goes on with what was started. The stamp is taken last: the search
 * is charged to no hop.
 */
static __always_inline void start_transit(struct __sk_buff *skb, struct workspace *work)
{
	int is_expected = work->is_expected;
	struct transit_key next = next_key(&work->message, 0);

	work->first = key_of(&work->message);
	work->segments = 1;
	work->flags = 0;
	work->frame_at = 0;
	work->more = 0;
	work->goes_on = 0;
	work->waits = FOR_NOTHING;
	work->waited = FOR_NOTHING;
	work->block.length = 0;
	if (is_expected)
		note_time(work);
	int is_resumed = is_expected && resume_block(work, &next);
	if (is_resumed && READ_AGAIN(work->waited) == FOR_END)
		follow_body(work);
	int is_request = (is_resumed && READ_AGAIN(work->waited) != FOR_END) || work->message.kind == HTTP_REQUEST;
	work->verdict = is_request ? SEARCH : judge_response(skb, work);
	if (READ_AGAIN(work->verdict) == SEARCH)
		work->verdict = search_block(skb, work);
	if (READ_AGAIN(work->waits) == FOR_END)
		look_for_end(skb, work);
	if (READ_AGAIN(work->goes_on))
		remember_body(work);
	if (READ_AGAIN(work->verdict) != LEAVE_ALONE || READ_AGAIN(work->waits))
		execute(skb, work, point_of(work));
}

/* The program that first points call for what may be HTTP/1. */
int http1(struct __sk_buff *skb)
{
	__u64 zero = 0;
	struct workspace *work = workspaces.lookup((int *)&zero);

	if (work)
		start_transit(skb, work);
	return TC_ACT_UNSPEC;
}
