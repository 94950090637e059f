//! One suite, run once per driver.

mod suite;

macro_rules! suite {
    ($($module:ident: $($test:ident)+;)+) => {
        mod uring {
            $($(#[test] fn $test() { super::suite::$module::$test(super::suite::On::Uring); })+)+
        }
        mod epoll {
            $($(#[test] fn $test() { super::suite::$module::$test(super::suite::On::Epoll); })+)+
        }
        mod simulated {
            $($(#[test] fn $test() { super::suite::$module::$test(super::suite::On::Simulated); })+)+
        }
    };
}

suite! {
    tcp:
        echoes_pieces_of_random_sizes_over_many_connections
        a_half_closed_connection_still_answers
        a_reset_is_an_error_after_what_came_before
        a_big_transfer_arrives_intact_both_ways
        thousands_of_connections_come_and_go
        every_core_accepts_on_the_one_port
        a_dropped_connection_still_sends_what_is_queued
        a_dropped_connection_that_nobody_reads_is_reset_in_time
        a_queue_over_the_cap_resets_the_connection
        a_refused_connection_is_an_error
        dropping_recv_loses_nothing
        two_tasks_share_a_connection
        addresses_match_on_both_sides;
    pressure:
        a_writer_waits_for_a_slow_reader
        an_unread_connection_is_paused_and_others_are_served
        a_task_that_reads_on_and_on_comes_to_an_end
        buffers_held_by_handlers_starve_nobody
        more_streams_than_buffers_all_get_their_turn
        connections_that_are_not_accepted_wait_and_are_not_lost
        shared_and_copied_pieces_leave_in_order;
    udp:
        echoes_datagrams_of_all_sizes
        a_batch_arrives_whole_and_in_order
        datagrams_over_the_limit_are_counted_drops
        a_full_send_queue_refuses
        unread_datagrams_are_counted_drops
        held_datagrams_starve_nobody;
    time:
        timers_fire_in_order_and_never_early
        a_dropped_timer_does_not_fire
        a_timeout_ends_a_wait
        long_and_short_timers_coexist
        yielding_lets_others_run
        the_next_turn_comes_after_the_sockets;
    task:
        results_come_through_handles
        an_aborted_task_is_dropped
        a_panic_stays_in_its_task
        tasks_end_with_main
        a_task_may_abort_itself
        random_bytes_differ;
    mesh:
        messages_between_all_cores_keep_their_order
        a_full_ring_gives_the_message_back
        a_parked_core_is_woken
        a_core_can_send_to_itself
        messages_left_over_are_dropped;
}
