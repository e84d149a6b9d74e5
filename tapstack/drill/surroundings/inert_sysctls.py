"""Linux's settings that have no effect on this stack: their names, defaults and ranges.

Scripts set many settings that do not matter for what they check. These are taken, kept, and read
back. The lists are those of Linux 6.18.

Not done here: the settings that have an effect (`tapstack/sysctl.py`), which come before these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_INT = (-(2**31), 2**31 - 1)


class Inert(NamedTuple):
    """One setting."""

    default: str
    """What it says while nobody has set it; several numbers with tabs between."""
    reason: str
    """Why it has no effect."""
    least: int = _INT[0]
    most: int = _INT[1]
    can_be_set: bool = True

    @property
    def is_numeric(self) -> bool:
        """Tell whether it takes numbers alone."""
        return all(_NUMBER.fullmatch(word) for word in self.default.split("\t"))


class _Group(NamedTuple):
    """Settings of one folder that are without effect for one reason."""

    folder: str
    reason: str
    items: str
    """Each `name=default`, then `[least..most]`, or `!` where it cannot be set; `+` for a tab."""


_NUMBER = re.compile(r"-?\d+")
_ITEM = re.compile(r"(?P<name>[\w/-]+)=(?P<default>[^\[!]*)(\[(?P<least>.+)\.\.(?P<most>.+)\]|!)?")


@lru_cache(maxsize=8)
def inert_settings(interfaces: tuple[str, ...]) -> dict[str, Inert]:
    """Give all of them by name, such as `net.core.optmem_max`, for a host with these interfaces."""
    settings: dict[str, Inert] = {}
    for group in _GROUPS:
        settings.update(_items(group))
    for name in ("all", "default", *interfaces):
        for group in _OF_INTERFACES:
            settings.update(_items(group._replace(folder=f"{group.folder}/{name}")))
    for group in _OF_NEIGHBOURS:
        for name in ("default", *interfaces):
            settings.update(_items(group._replace(folder=f"{group.folder}/{name}")))
        settings.update(_items(group._replace(folder=f"{group.folder}/default", items=_TABLES)))
    return settings


def _items(group: _Group) -> Iterator[tuple[str, Inert]]:
    prefix = f"net.{group.folder}." if group.folder else "net."
    for item in group.items.split():
        found = _ITEM.fullmatch(item)
        assert found is not None, item
        setting = Inert(found["default"].replace("+", "\t"), group.reason)
        if found["least"]:
            setting = setting._replace(least=int(found["least"]), most=int(found["most"]))
        setting = setting._replace(can_be_set=not item.endswith("!"))
        yield (prefix + found["name"]).replace("/", "."), setting


_GROUPS = (
    _Group(
        "ipv4",
        "text leaves at once, in units as large as the window lets it",
        """
tcp_autocorking=1[0..1] tcp_limit_output_bytes=4194304
""",
    ),
    _Group(
        "ipv4",
        "without meaning here: Linux's memory and its tables, or obsolete there, too",
        """
tcp_adv_win_scale=1[-31..31] tcp_backlog_ack_defer=1[0..1] tcp_child_ehash_entries=0[0..16777216]
tcp_early_demux=1[0..255] tcp_ehash_entries=-262144! tcp_fack=0[0..255] tcp_low_latency=0
tcp_mem=287898+383867+575796 tcp_workaround_signed_windows=0[0..255]
""",
    ),
    _Group(
        "ipv4",
        "of mechanisms that this TCP does not have",
        """
tcp_available_ulp=mptcp!
tcp_fwmark_accept=0[0..255] tcp_l3mdev_accept=0[0..1] tcp_migrate_req=0[0..1]
tcp_plb_cong_thresh=128[0..256] tcp_plb_enabled=0[0..1] tcp_plb_idle_rehash_rounds=3[0..31]
tcp_plb_rehash_rounds=12[0..31] tcp_plb_suspend_rto_sec=60[0..255]
tcp_challenge_ack_limit=2147483647
tcp_comp_sack_slack_ns=100000[0..18446744073709551615]
tcp_dsack=1[0..255] tcp_min_rtt_wlen=300[0..86400] tcp_no_metrics_save=0[0..255]
tcp_no_ssthresh_metrics_save=1[0..1] tcp_pingpong_thresh=1[1..255]
""",
    ),
    _Group(
        "ipv4",
        "of mechanisms that this IP does not have",
        """
cipso_cache_bucket_size=10 cipso_cache_enable=1 cipso_rbm_optfmt=0 cipso_rbm_strictvalid=1
fib_multipath_hash_fields=7[1..4095] fib_multipath_hash_policy=0[0..3]
fib_multipath_hash_seed=0[0..4294967295] fib_multipath_use_neigh=0[0..1]
fib_notify_on_flag_change=0[0..2] fib_sync_mem=524288 fwmark_reflect=0[0..255]
icmp_echo_enable_probe=0[0..1] icmp_errors_use_inbound_ifaddr=0[0..1]
icmp_ignore_bogus_error_responses=1[0..1] igmp_link_local_mcast_reports=1[0..255]
igmp_max_memberships=20 igmp_max_msf=10 igmp_qrv=2[1..2147483647] inet_peer_maxttl=600
inet_peer_minttl=120 inet_peer_threshold=65664 ip_autobind_reuse=0[0..1] ip_dynaddr=0[0..255]
ip_early_demux=1[0..255] ip_forward_update_priority=1[0..1] ip_forward_use_pmtu=0[0..255]
ip_nonlocal_bind=0[0..255] ip_unprivileged_port_start=1024[0..32768]
ipfrag_low_thresh=3145728[0..4194304] ipfrag_max_dist=64[0..2147483647] ipfrag_secret_interval=0
nexthop_compat_mode=1[0..1] ping_group_range=65534+0 raw_l3mdev_accept=1[0..1]
route/error_burst=1250 route/error_cost=250 route/gc_elasticity=8 route/gc_interval=60
route/gc_min_interval=0 route/gc_min_interval_ms=500 route/gc_thresh=-1 route/gc_timeout=300
route/max_size=2147483647 route/min_adv_mss=256 route/redirect_load=5 route/redirect_number=9
route/redirect_silence=5120 udp_child_hash_entries=0[0..65536] udp_early_demux=1[0..255]
udp_hash_entries=-16384! udp_l3mdev_accept=0[0..1] udp_mem=575799+767734+1151598
udp_rmem_min=4096[1..2147483647] udp_wmem_min=4096[1..2147483647] xfrm4_gc_thresh=32768
""",
    ),
    _Group(
        "core",
        "of the machinery around devices and sockets, which is Linux's own",
        """
bpf_jit_enable=1 bpf_jit_harden=0 bpf_jit_kallsyms=1 bpf_jit_limit=528482304 busy_poll=0
busy_read=0 default_qdisc=pfifo_fast dev_weight=64 dev_weight_rx_bias=1 dev_weight_tx_bias=1
devconf_inherit_init_net=0 fb_tunnels_only_for_init_net=0 flow_limit_cpu_bitmap=0
flow_limit_table_len=4096 gro_normal_batch=8 high_order_alloc_disable=0 max_skb_frags=17
mem_pcpu_rsv=256 message_burst=10 message_cost=5 netdev_budget=300 netdev_budget_usecs=8000
netdev_max_backlog=1000 netdev_tstamp_prequeue=1 netdev_unregister_timeout_secs=10
rmem_default=212992[2304..2147483647]
rmem_max=4194304[2304..2147483647] rps_default_mask=0[0..3] rps_sock_flow_entries=0
skb_defer_max=64 tstamp_allow_data=1[0..1] txrehash=1[0..1] warnings=0
wmem_default=212992[4608..2147483647] wmem_max=4194304[4608..2147483647] xfrm_acq_expires=30
xfrm_aevent_etime=10 xfrm_aevent_rseqth=2 xfrm_larval_drop=1
""",
    ),
    _Group(
        "ipv6",
        "IPv6 is not spoken",
        """
anycast_src_echo_reply=0 auto_flowlabels=1 bindv6only=0 calipso_cache_bucket_size=10
calipso_cache_enable=1 fib_multipath_hash_fields=7 fib_multipath_hash_policy=0
fib_notify_on_flag_change=0 flowlabel_consistency=1 flowlabel_reflect=0 flowlabel_state_ranges=0
fwmark_reflect=0 icmp/echo_ignore_all=0 icmp/echo_ignore_anycast=0 icmp/echo_ignore_multicast=0
icmp/error_anycast_as_unicast=0 icmp/ratelimit=100 icmp/ratemask=0-1,3-127 idgen_delay=1
idgen_retries=3 ioam6_id=16777215[0..16777215] ioam6_id_wide=72057594037927935[0..72057594037927935]
ip6frag_high_thresh=4194304
ip6frag_low_thresh=3145728 ip6frag_secret_interval=0 ip6frag_time=60 ip_nonlocal_bind=0
max_dst_opts_length=2147483647 max_dst_opts_number=8 max_hbh_length=2147483647
max_hbh_opts_number=8 mld_max_msf=64 mld_qrv=2 route/flush=! route/gc_elasticity=9
route/gc_interval=30 route/gc_min_interval=0 route/gc_min_interval_ms=500 route/gc_thresh=1024
route/gc_timeout=60 route/max_size=2147483647 route/min_adv_mss=1220 route/mtu_expires=600
route/skip_notify_on_dev_down=0 seg6_flowlabel=0 xfrm6_gc_thresh=32768
""",
    ),
    _Group(
        "mptcp",
        "Multipath TCP is not spoken",
        """
add_addr_timeout=120 allow_join_initial_addr_port=1 available_path_managers=kernel+userspace!
available_schedulers=default! blackhole_timeout=3600 checksum_enabled=0 close_timeout=60 enabled=1
path_manager=kernel pm_type=0 scheduler=default stale_loss_cnt=4 syn_retrans_before_tcp_fallback=2
""",
    ),
    _Group(
        "netfilter",
        "nothing is filtered, and no connection tracked",
        """
nf_conntrack_acct=0 nf_conntrack_buckets=262144! nf_conntrack_checksum=1 nf_conntrack_count=0!
nf_conntrack_events=2 nf_conntrack_expect_max=4096! nf_conntrack_frag6_high_thresh=4194304
nf_conntrack_frag6_low_thresh=3145728 nf_conntrack_frag6_timeout=60
nf_conntrack_generic_timeout=600 nf_conntrack_gre_timeout=30 nf_conntrack_gre_timeout_stream=180
nf_conntrack_icmp_timeout=30 nf_conntrack_icmpv6_timeout=30 nf_conntrack_log_invalid=0
nf_conntrack_max=262144! nf_conntrack_sctp_timeout_closed=10
nf_conntrack_sctp_timeout_cookie_echoed=3 nf_conntrack_sctp_timeout_cookie_wait=3
nf_conntrack_sctp_timeout_established=210 nf_conntrack_sctp_timeout_heartbeat_sent=30
nf_conntrack_sctp_timeout_shutdown_ack_sent=3 nf_conntrack_sctp_timeout_shutdown_recd=3
nf_conntrack_sctp_timeout_shutdown_sent=3 nf_conntrack_tcp_be_liberal=0
nf_conntrack_tcp_ignore_invalid_rst=0 nf_conntrack_tcp_loose=1 nf_conntrack_tcp_max_retrans=3
nf_conntrack_tcp_timeout_close=10 nf_conntrack_tcp_timeout_close_wait=60
nf_conntrack_tcp_timeout_established=432000 nf_conntrack_tcp_timeout_fin_wait=120
nf_conntrack_tcp_timeout_last_ack=30 nf_conntrack_tcp_timeout_max_retrans=300
nf_conntrack_tcp_timeout_syn_recv=60 nf_conntrack_tcp_timeout_syn_sent=120
nf_conntrack_tcp_timeout_time_wait=120 nf_conntrack_tcp_timeout_unacknowledged=300
nf_conntrack_timestamp=0 nf_conntrack_udp_timeout=30 nf_conntrack_udp_timeout_stream=120
nf_hooks_lwtunnel=0 nf_log/0=NONE nf_log/1=NONE nf_log/10=nf_log_ipv6 nf_log/2=nf_log_ipv4
nf_log/3=nf_log_arp nf_log/4=NONE nf_log/5=nf_log_netdev nf_log/6=NONE nf_log/7=nf_log_bridge
nf_log/8=NONE nf_log/9=NONE nf_log_all_netns=0
""",
    ),
    _Group(
        "",
        "nothing is filtered, and no connection tracked",
        """
nf_conntrack_max=262144
""",
    ),
    _Group(
        "bridge",
        "there are no bridges",
        """
bridge-nf-call-arptables=1 bridge-nf-call-ip6tables=1 bridge-nf-call-iptables=1
bridge-nf-filter-pppoe-tagged=0 bridge-nf-filter-vlan-tagged=0 bridge-nf-pass-vlan-input-dev=0
""",
    ),
    _Group(
        "unix",
        "Unix domain sockets are not simulated",
        """
max_dgram_qlen=10
""",
    ),
)
_OF_INTERFACES = (
    _Group(
        "ipv4/conf",
        "what an interface does beyond ARP and IP is not simulated",
        """
accept_local=0 accept_redirects=1 accept_source_route=0 arp_accept=0 arp_announce=0
arp_evict_nocarrier=1 arp_filter=0 arp_ignore=0 arp_notify=0 bc_forwarding=0 bootp_relay=0
disable_policy=0 disable_xfrm=0 drop_gratuitous_arp=0 drop_unicast_in_l2_multicast=0
force_igmp_version=0 forwarding=0 igmpv2_unsolicited_report_interval=10000
igmpv3_unsolicited_report_interval=1000 ignore_routes_with_linkdown=0 log_martians=0
mc_forwarding=0! medium_id=0 promote_secondaries=0 proxy_arp=0 proxy_arp_pvlan=0 route_localnet=0
rp_filter=0 secure_redirects=1 send_redirects=1 shared_media=1 src_valid_mark=0 tag=0
""",
    ),
    _Group(
        "ipv6/conf",
        "IPv6 is not spoken",
        """
accept_dad=0 accept_ra=1 accept_ra_defrtr=1 accept_ra_from_local=0 accept_ra_min_hop_limit=1
accept_ra_min_lft=0 accept_ra_mtu=1 accept_ra_pinfo=1 accept_ra_rt_info_max_plen=0
accept_ra_rt_info_min_plen=0 accept_ra_rtr_pref=1 accept_redirects=1 accept_source_route=0
accept_untracked_na=0 addr_gen_mode=0 autoconf=1 dad_transmits=1 disable_ipv6=0 disable_policy=0
drop_unicast_in_l2_multicast=0 drop_unsolicited_na=0 enhanced_dad=1 force_forwarding=0
force_mld_version=0 force_tllao=0 forwarding=0 hop_limit=64 ignore_routes_with_linkdown=0
ioam6_enabled=0 ioam6_id=65535[0..65535] ioam6_id_wide=4294967295[0..4294967295]
keep_addr_on_down=0 max_addresses=16
max_desync_factor=600 mc_forwarding=0! mldv1_unsolicited_report_interval=10000
mldv2_unsolicited_report_interval=1000 mtu=1280 ndisc_evict_nocarrier=1 ndisc_notify=0
ndisc_tclass=0 optimistic_dad=0 proxy_ndp=0 ra_defrtr_metric=1024 ra_honor_pio_life=0
ra_honor_pio_pflag=0 regen_max_retry=3 regen_min_advance=2 router_probe_interval=60
router_solicitation_delay=1 router_solicitation_interval=4 router_solicitation_max_interval=3600
router_solicitations=-1 rpl_seg_enabled=0 seg6_enabled=0 seg6_require_hmac=0 stable_secret=
suppress_frag_ndisc=1 temp_prefered_lft=86400 temp_valid_lft=604800 use_oif_addrs_only=0
use_optimistic=0 use_tempaddr=0
""",
    ),
)
_OF_NEIGHBOURS = (
    _Group(
        "ipv4/neigh",
        "neighbours that are asked for again, or for others, are not simulated",
        """
anycast_delay=100 app_solicit=0 base_reachable_time=30 base_reachable_time_ms=30000
delay_first_probe_time=5 gc_stale_time=60 interval_probe_time_ms=5000 locktime=100
mcast_resolicit=0 mcast_solicit=3 proxy_delay=80 proxy_qlen=64 retrans_time=100
retrans_time_ms=1000 ucast_solicit=3 unres_qlen=101 unres_qlen_bytes=212992
""",
    ),
    _Group(
        "ipv6/neigh",
        "IPv6 is not spoken",
        """
anycast_delay=100 app_solicit=0 base_reachable_time=30 base_reachable_time_ms=30000
delay_first_probe_time=5 gc_stale_time=60 interval_probe_time_ms=5000 locktime=0 mcast_resolicit=0
mcast_solicit=3 proxy_delay=80 proxy_qlen=64 retrans_time=250 retrans_time_ms=1000 ucast_solicit=3
unres_qlen=101 unres_qlen_bytes=212992
""",
    ),
)
_TABLES = "gc_interval=30 gc_thresh1=128 gc_thresh2=512 gc_thresh3=1024"
