/* SPDX-License-Identifier: Apache-2.0 */
/* What a first point does: find the context of a message, and start its transit. */
/* Reads the request's context into the workspace. Returns 0 where the message is to be left alone: nothing sampled, or
 * counted here.
 */
static __always_inline int find_request_context(struct __sk_buff *skb, struct workspace *work,
						const struct transit_key *key)
{
	enum search_result result = search_context(skb, work->message.payload_offset, &work->block, &work->context);

	if (result == CONTEXT_SAMPLED && is_inside_message(work, key)) {
		count(REQUEST_PIPELINED);
		return 0;
	}
	remember_message(skb, work, key);
	switch (result) {
	case CONTEXT_SAMPLED:
		count(CONTEXT_TRACEPARENT + work->context.format - TRACEPARENT);
		return 1;
	case CONTEXT_UNSAMPLED:
		count(CONTEXT_TRACEPARENT + work->context.format - TRACEPARENT);
		count(REQUEST_UNSAMPLED);
		return 0;
	case CONTEXT_BAD:
		count(REQUEST_BAD_CONTEXT);
		return 0;
	case CONTEXT_NONE:
		count(REQUEST_NO_CONTEXT);
		return 0;
	case BLOCK_UNFINISHED:
		count(REQUEST_UNFINISHED);
		return 0;
	case BLOCK_TOO_LONG:
		count(REQUEST_TOO_LONG);
		return 0;
	}
	return 0;
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
		__u32 length = skb->len - work->message.payload_offset;
		answer.seq = bpf_htonl(bpf_ntohl(key->seq) + length);
		hash = hash_key(&answer);
		set = exchange_set(hash);
		work->now = bpf_ktime_get_coarse_ns();
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

/* Starts a transit at a node's first point. The stamp is taken last: the search is charged to no hop. The rate limit
 * comes before the exchange, so that a flood does not push out its neighbours' exchanges.
 *
 * Message and outer lie in the workspace and are read from there again: the verifier then knows nothing of them, and
 * follows the search once instead of once for every way in which the headers can be read.
 */
static __always_inline void start_transit(struct __sk_buff *skb, struct workspace *work, enum point point)
{
	struct transit_key key = key_of(&work->message);
	int request = key.direction == REQUEST;

	if (request ? !find_request_context(skb, work, &key) : !find_response_context(skb, work, &key))
		return;
	struct rate_key rate = rate_key_of(skb, &work->message, point);
	work->now = bpf_ktime_get_coarse_ns(); /* some ms are near enough for rates and ages */
	if (exceeds_rate(&rate, work->now)) {
		count(RATE_LIMITED);
		return;
	}
	if (request && !enter_exchange(&key, work))
		return;
	add_transit(skb, work, &key, point);
}
