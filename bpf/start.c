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

/* Some ms are near enough for rates and ages. What needs neither is spared the call. */
static __always_inline void note_time(struct workspace *work)
{
	work->now = bpf_ktime_get_coarse_ns();
}

/* Reads the context of the response's exchange into the workspace. Returns 0 where the message is to be left alone. */
static __always_inline int find_response_context(struct __sk_buff *skb, struct workspace *work,
						 const struct transit_key *key)
{
	struct transit_key answer = response_key(key, key->seq);
	__u64 hash = hash_key(&answer), *where = 0;
	struct tag_set *set = exchange_set(hash);
	struct exchange *exchange = set ? find_exchange(set, &answer, hash, &where) : 0;

	if (!exchange) {
		count(RESPONSE_NO_EXCHANGE);
		return 0;
	}
	struct transit_key request = {.seq = exchange->request_seq, .tsval = exchange->request_tsval};
	work->context = exchange->context;
	asm volatile("" ::: "memory");
	if (!same_key(&exchange->key, &answer)) {
		count(RESPONSE_NO_EXCHANGE); /* another was given its slot while it was read */
		return 0;
	}
	__u32 status = read_status(skb, &work->message);
	if (is_interim(status)) {
		/* The exchange waits on, for the response behind this one. */
		answer.seq = bpf_htonl(bpf_ntohl(key->seq) + work->message.payload_length);
		hash = hash_key(&answer);
		set = exchange_set(hash);
		/* Where the interim response was sent again it does so already. */
		if (set && !find_exchange(set, &answer, hash, &where))
			add_exchange(set, &answer, hash, &request, work);
		count(RESPONSE_INTERIM);
		return 0;
	}
	if (exchange->answered && exchange->response_tsval == key->tsval) {
		count(REPEATED);
		return 0;
	}
	exchange->answered = 1;
	exchange->response_tsval = key->tsval;
	/* Answered ones give way first. If the way is being given to another at this moment, that one is not marked. */
	__u64 tag = READ_AGAIN(*where);
	if (tag >> TAG_HASH_SHIFT == hash >> TAG_HASH_SHIFT)
		__sync_val_compare_and_swap(where, tag, tag | TAG_MARK);
	note_response(work, key, status == SWITCHING_PROTOCOLS);
	return 1;
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
	slot->transit.flags |= SEGMENTS;
	count(TRANSITS_STARTED);
	if (has_waited(slot) && emit_transit(where, tag, slot, 0))
		count(TRANSITS_EMITTED);
}

/* What is to be done with a message. */
enum verdict {
	LEAVE_ALONE,
	START_REQUEST,
	START_RESPONSE,
	START_UNFINISHED, /* the context is still to come: the transit waits for it, or is swept if the rest does not come */
	GO_ON_UNFINISHED,
	COMPLETE, /* the context has come with a later segment */
	GIVE_UP,  /* the transit that was started is of no use */
};

/* Judges a request of which no segment came before this one. */
static __always_inline enum verdict judge_first_segment(struct workspace *work, enum search_result result)
{
	const struct transit_key *key = &work->first;

	if (result == CONTEXT_SAMPLED)
		fetch_early(key);
	if (result == CONTEXT_SAMPLED && is_inside_message(work, key)) {
		count(REQUEST_PIPELINED);
		return LEAVE_ALONE;
	}
	note_request(work, key);
	if (result == BLOCK_UNFINISHED) {
		note_time(work);
		if (!copy_known_context(work, key))
			return START_UNFINISHED;
		work->flags = SEGMENTS;
		result = CONTEXT_SAMPLED;
	}
	return count_result(result, &work->context) ? START_REQUEST : LEAVE_ALONE;
}

/* Judges a request whose header block has several segments, of which this is the next. */
static __always_inline enum verdict judge_next_segment(struct workspace *work, enum search_result result)
{
	if (result == BLOCK_UNFINISHED) {
		if (work->segments < SEGMENTS_MAX)
			return GO_ON_UNFINISHED;
		result = BLOCK_TOO_LONG;
	}
	return count_result(result, &work->context) ? COMPLETE : GIVE_UP;
}

static __always_inline enum verdict judge_request(struct __sk_buff *skb, struct workspace *work)
{
	work->result = search_context(skb, work->message.payload_offset, work->message.payload_length, &work->block,
				      &work->context);
	enum search_result result = READ_AGAIN(work->result);

	return READ_AGAIN(work->segments) == 1 ? judge_first_segment(work, result) : judge_next_segment(work, result);
}

static __always_inline enum verdict judge_response(struct __sk_buff *skb, struct workspace *work)
{
	if (work->message.kind != HTTP_RESPONSE)
		return LEAVE_ALONE;
	note_time(work);
	return find_response_context(skb, work, &work->first) ? START_RESPONSE : LEAVE_ALONE;
}

/* Does what was judged. The rate limit comes before the exchange, so that a flood does not push out its neighbours'. */
static __always_inline void execute(struct __sk_buff *skb, struct workspace *work, enum verdict verdict,
				    enum point point)
{
	struct transit_key key = work->first;

	if (verdict == COMPLETE) {
		note_time(work);
		complete_transit(work, &key);
		return;
	}
	if (verdict == START_REQUEST)
		note_time(work);
	int starts = verdict == START_REQUEST || verdict == START_RESPONSE || verdict == START_UNFINISHED;
	if (starts && !is_within_rate(skb, work, point))
		return;
	if (verdict == START_REQUEST && !enter_exchange(&key, work))
		return;
	if ((verdict == START_UNFINISHED || verdict == GO_ON_UNFINISHED) && !keep_block(work)) {
		count(REQUEST_UNFINISHED);
		verdict = GIVE_UP;
	}
	if (verdict == GIVE_UP)
		give_up_transit(&key);
	else if (starts && add_transit(skb, work, &key, point, verdict == START_UNFINISHED) &&
		 verdict != START_UNFINISHED)
		count(TRANSITS_STARTED);
}

/* Starts the message's transit at a node's first point, or goes on with what was started. The stamp is taken last: the search
 * is charged to no hop.
 */
static __always_inline void start_transit(struct __sk_buff *skb, struct workspace *work, enum point point,
					  int is_expected)
{
	struct transit_key next = request_key(&work->message);

	work->first = key_of(&work->message);
	work->segments = 1;
	work->flags = 0;
	work->goes_on = 0;
	work->block.length = 0;
	next.tsval = 0;
	if (is_expected)
		note_time(work);
	int is_request = (is_expected && resume_block(work, &next)) || work->message.kind == HTTP_REQUEST;
	work->verdict = is_request ? judge_request(skb, work) : judge_response(skb, work);
	if (READ_AGAIN(work->goes_on))
		remember_body(work);
	if (READ_AGAIN(work->verdict) != LEAVE_ALONE)
		execute(skb, work, READ_AGAIN(work->verdict), point);
}
