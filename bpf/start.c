/* SPDX-License-Identifier: Apache-2.0 */
/* What a first point does: find the context of a message, and start its transit. */
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
	if (is_interim(skb, &work->message)) {
		/* The exchange waits on, for the response behind this one. */
		answer.seq = bpf_htonl(bpf_ntohl(key->seq) + work->message.payload_length);
		hash = hash_key(&answer);
		set = exchange_set(hash);
		if (set)
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
	return 1;
}

/* Whether a transit more is within the limit of whoever sent the message. */
static __always_inline int is_within_rate(struct __sk_buff *skb, const struct workspace *work, enum point point)
{
	struct rate_key rate = rate_key_of(skb, &work->message, point);

	if (!exceeds_rate(&rate, work->now))
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

/* Waits for the next segment of a header block in which there is no context yet. Where it is the first one that came, its
 * transit starts without. That is swept, and the request counted, if the rest does not come.
 */
static __always_inline void await_context(struct __sk_buff *skb, struct workspace *work, enum point point)
{
	int is_first = work->segments == 1;

	if (is_first && !is_within_rate(skb, work, point))
		return;
	int is_kept = work->segments < SEGMENTS_MAX && keep_block(work);
	if (is_kept && is_first)
		add_transit(skb, work, &work->first, point, AWAITS_CONTEXT);
	if (is_kept)
		return;
	count(work->segments < SEGMENTS_MAX ? REQUEST_UNFINISHED : REQUEST_TOO_LONG);
	give_up_transit(&work->first);
}

/* Starts the transit of a request, or goes on with one whose header block has several segments. Message, outer and all
 * results lie in the workspace and are read from there again: the verifier then knows nothing of them, and follows the
 * search once instead of once for every way in which the headers can be read.
 */
static __always_inline void start_request(struct __sk_buff *skb, struct workspace *work, enum point point)
{
	work->result = search_context(skb, work->message.payload_offset, work->message.payload_length, &work->block,
				      &work->context);
	enum search_result result = READ_AGAIN(work->result);
	int is_first = READ_AGAIN(work->segments) == 1;
	struct transit_key key = work->first;

	work->flags = 0;
	if (is_first && result == CONTEXT_SAMPLED && is_inside_message(work, &key)) {
		count(REQUEST_PIPELINED);
		return;
	}
	if (is_first)
		remember_message(work, &key);
	if (result == CONTEXT_SAMPLED || result == BLOCK_UNFINISHED)
		note_time(work);
	if (result == BLOCK_UNFINISHED && is_first && copy_known_context(work, &key)) {
		result = CONTEXT_SAMPLED;
		work->flags = SEGMENTS;
	}
	if (result == BLOCK_UNFINISHED) {
		await_context(skb, work, point);
		return;
	}
	int is_sampled = count_result(result, &work->context);
	if (!is_first) {
		if (is_sampled)
			complete_transit(work, &key);
		else
			give_up_transit(&key);
		return;
	}
	if (is_sampled && is_within_rate(skb, work, point) && enter_exchange(&key, work) &&
	    add_transit(skb, work, &key, point, NOTHING_ELSE))
		count(TRANSITS_STARTED);
}

/* Starts a transit at a node's first point. The stamp is taken last: the search is charged to no hop. The rate limit
 * comes before the exchange, so that a flood does not push out its neighbours' exchanges.
 */
static __always_inline void start_transit(struct __sk_buff *skb, struct workspace *work, enum point point,
					  int is_expected)
{
	struct transit_key key = key_of(&work->message), next = request_key(&work->message);

	work->first = key;
	work->segments = 1;
	work->block.length = 0;
	next.tsval = 0;
	if (is_expected)
		note_time(work);
	if (!(is_expected && resume_block(work, &next)) && work->message.kind != HTTP_REQUEST) {
		note_time(work);
		if (work->message.kind == HTTP_RESPONSE && find_response_context(skb, work, &key) &&
		    is_within_rate(skb, work, point)) {
			work->flags = 0;
			if (add_transit(skb, work, &key, point, NOTHING_ELSE))
				count(TRANSITS_STARTED);
		}
		return;
	}
	start_request(skb, work, point);
}
