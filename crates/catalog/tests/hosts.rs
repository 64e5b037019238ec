//! Host names that people meet, and whose they are. `-` stands for none.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use ottoscope_catalog::Catalog;

const CASES: &str = "
whatsapp/chat         c1.whatsapp.net d12.whatsapp.net e13.whatsapp.net e7.whatsapp.net g.whatsapp.net
whatsapp/photo-audio  mmi301.whatsapp.net mms872.whatsapp.net mmsx.whatsapp.net mmi.whatsapp.net
whatsapp/video        mmv103.whatsapp.net mmv.whatsapp.net
whatsapp/media        mmx-ds.cdn.whatsapp.net mmg.whatsapp.net mmg-fna.whatsapp.net mme.whatsapp.net mmg.whatsapp.com
whatsapp/media        media-mxp1-1.cdn.whatsapp.net media-tpe.cdn.whatsapp.net media.fmct2-1.fna.whatsapp.net
whatsapp/media        media-restricted.fstn1-1.fna.whatsapp.net nmedia.fzty1-1.fna.whatsapp.net
whatsapp/media        whatsapp-cdn-shv-01-iad3.fbcdn.net whatsapp-cdn-shv-01-hel3.fbcdn.net
whatsapp/sonar        sonar-yyz.cdn.whatsapp.net sonar.fmvd1-1.fna.whatsapp.net wa3a-ha1tonzvha4dmob.snr.whatsapp.net
whatsapp/static       static.whatsapp.net scontent.whatsapp.net www-cdn.whatsapp.net fruh4-1.fna.whatsapp.net
whatsapp/profile-pictures pps.whatsapp.net pps-fallback.whatsapp.net
whatsapp/registration v.whatsapp.net v2.whatsapp.net v-k.whatsapp.net r.whatsapp.net
whatsapp/web-client   web.whatsapp.com w9.web.whatsapp.com dyn.web.whatsapp.com web-fallback.whatsapp.com w3.web-t.whatsapp.com webtp.whatsapp.net
whatsapp/crashlog     crashlogs.whatsapp.net platform-crash.whatsapp.net dit.whatsapp.net
whatsapp/web          www.whatsapp.com faq.whatsapp.com chat.whatsapp.com wa.me www.wa.me
whatsapp/api          graph.whatsapp.com graph.whatsapp.net api-fallback.whatsapp.com
whatsapp/-            whatsapp.net whatsapp.com my-od-3.whatsapp.net kaios-fallback.whatsapp.net
wechat/long           long.weixin.qq.com szlong.weixin.qq.com hklong.weixin.qq.com mllong.weixin.qq.com sglong.wechat.com quic.weixin.qq.com
wechat/short          short.weixin.qq.com hkshort.weixin.qq.com shshort.weixin.qq.com extshort.weixin.qq.com szextshort.weixin.qq.com
wechat/short          hkminorshort.weixin.qq.com axshort.weixin.qq.com sgaxshort.wechat.com sgshort.wechat.com hkdisas.weixin.qq.com
wechat/pay            short.pay.weixin.qq.com hkshort.mixpay.wechatpay.cn sgshort.snspay.wechat.com pay.weixin.qq.com
wechat/support        support.weixin.qq.com hksupport.weixin.qq.com szsupport.weixin.qq.com
wechat/call           voip.weixin.qq.com
wechat/dns            dns.weixin.qq.com udns.weixin.qq.com
wechat/moments        mmsns.qpic.cn shmmsns.qpic.cn szmmsns.qpic.cn mmsns.hk.wechat.com wxsnsdy.wxs.qq.com
wechat/header-images  wx.qlogo.cn thirdwx.qlogo.cn wx3.qlogo.cn
wechat/media          weixinc2c.tc.qq.com vweixinf.tc.qq.com wxapp.tc.qq.com
wechat/official-accounts mp.weixin.qq.com mmbiz.qpic.cn mmbiz.qlogo.cn
wechat/web-client     wx.qq.com wx2.qq.com web.wechat.com web2.wechat.com webpush.web.wechat.com res.wx.qq.com login.weixin.qq.com file.wx.qq.com
wechat/mini-programs  servicewechat.com
wechat/-              weixin.qq.com wechat.com weixin110.qq.com www.wechat.com
qq/chat               sz3.tencent.com tcpconn2.tencent.com server.tim.qq.com
qq/header-images      q.qlogo.cn q1.qlogo.cn
qq/media              gchat.qpic.cn grouptalk.c2c.qq.com
tencent/-             www.qq.com vv.video.qq.com pingma.qq.com cgi.connect.qq.com c6.y.qq.com qzonestyle.gtimg.cn shp.qlogo.cn btrace.qq.com
telegram/web-client   web.telegram.org pluto.web.telegram.org
telegram/-            telegram.org t.me telegram.me api.telegram.org core.telegram.org
telegram/media        telegra.ph
signal/chat           textsecure-service.whispersystems.org chat.signal.org textsecure-service-ca.whispersystems.org
signal/media          cdn.signal.org cdn2.signal.org cdn3.signal.org
signal/call           turn3.voip.signal.org sfu.voip.signal.org turn2.whispersystems.org
signal/storage        storage.signal.org cdsi.signal.org svr2.signal.org
viber/media           media.cdn.viber.com dl-media.viber.com
viber/-               viber.com ads.viber.com
line/chat             legy-jp.line-apps.com gd2.line.naver.jp
line/media            obs.line-apps.com dl-obs.official.line.naver.jp obs-sg.line-apps.com
line/telemetry        uts-front.line-apps.com
line/-                line.me access.line.me
kakaotalk/chat        katalk.kakao.com plus-talk.kakao.com ac-talk.kakao.com booking.loco.kakao.com ticket-loco.kakao.com
kakaotalk/media       up-v.talk.kakao.com up-gp.talk.kakao.com dn-l.talk.kakao.com
kakaotalk/emoticons   item.kakao.com
kakaotalk/login       auth.kakao.com
skype/media           eu-api.asm.skype.com
skype/telemetry       skypedataprdcolneu04.cloudapp.net
skype/-               www.skype.com
teams/-               teams.microsoft.com teams.office.com teams.skype.com api.teams.skype.com
teams/chat            emea.ng.msg.teams.microsoft.com chatsvcagg.teams.microsoft.com trouter2-asse-a.trouter.teams.microsoft.com emea.ng.msg.teams-msgapi.trafficmanager.net
teams/call            euaz.tr.teams.microsoft.com api.flightproxy.teams.microsoft.com c-flightproxy-euno-01-teams.cloudapp.net
teams/media           eu-prod.asyncgw.teams.microsoft.com
messenger/chat        edge-mqtt.facebook.com mqtt-mini.facebook.com mqtt.facebook.com edge-chat.facebook.com 3-edge-chat.facebook.com
messenger/-           www.messenger.com m.me
messenger/call        turner.facebook edge-turnservice-shv-01-fra3.facebook.com
instagram/api         i.instagram.com graph.instagram.com
instagram/media       scontent-mxp1-1.cdninstagram.com instagram.faae1-1.fna.fbcdn.net
instagram/-           www.instagram.com www.threads.net
facebook/-            www.facebook.com facebook.com connect.facebook.net s-static.ak.facebook.com star.c10r.facebook.com edgeray-shv-01-mxp1.facebook.com
facebook/api          graph.facebook.com api.facebook.com b-graph.facebook.com
facebook/static       scontent.xx.fbcdn.net scontent-mxp1-1.xx.fbcdn.net fbcdn-sphotos-a-a.akamaihd.net
discord/chat          gateway.discord.gg
discord/media         cdn.discordapp.com media.discordapp.net
discord/call          frankfurt1234.discord.media
discord/-             discord.com discordapp.com
zoom/call             zoomfrn99mmr.zoom.us zoomsjccv154mmr.sjc.zoom.us
zoom/signalling       zoomam105zc.zoom.us zoomfr84zc.zoom.us
zoom/web              www3.zoom.us us04web.zoom.us
zoom/telemetry        log.zoom.us
zoom/-                zoom.us
google-meet/signalling meet.google.com duo.google.com instantmessaging-pa.googleapis.com
google-meet/chat      hangouts.google.com chat.google.com talk.google.com
google/push           mtalk.google.com alt3-mtalk.google.com
google/video          www.youtube.com r3---sn-ab5l6n7z.googlevideo.com i.ytimg.com
google/-              www.google.com fonts.gstatic.com play.googleapis.com www.google.it www.google.com.br
snapchat/chat         feelinsonice-hrd.appspot.com gcp.api.snapchat.com app.snapchat.com
snapchat/telemetry    app-analytics-v2.snapchat.com
snapchat/media        cf-st.sc-cdn.net
threema/chat          g-52.0.threema.ch ds.g-00.0.threema.ch
imessage/identity     query.ess.apple.com
apple/push            1-courier.push.apple.com 41-courier.push.apple.com 1-courier.sandbox.push.apple.com
apple/icloud          gateway.icloud.com p26-keyvalueservice.icloud.com
apple/-               www.apple.com gsa.apple.com captive.apple.com init.itunes.apple.com guzzoni.apple.com
icq/chat              login.icq.com login.oscar.aol.com
slack/chat            wss-primary.slack.com
dingtalk/chat         im.dingtalk.com
bilibili/live-chat    broadcastlv.chat.bilibili.com
- www.example.com notwhatsapp.net whatsapp.net.evil.example evilweixin.qq.com.example mysignal.org online.me at.me zoom.us.lan
- captive.apple.com.edgekey.net login.microsoftonline.com outlook.office365.com www.microsoft.com api.microsoftstream.com gate.hockeyapp.net
- cloudflare.com e1234.akamaiedge.net s3.amazonaws.com d1234.cloudfront.net storage.cloud.example www.wikipedia.org www.naver.com localhost
";

#[test]
fn names_people_meet() {
    let catalog = Catalog::builtin().unwrap();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for line in CASES.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let expected = words.next().unwrap();
        for host in words {
            cases += 1;
            let found = match catalog.lookup_name(host) {
                Some(rule) => format!("{}/{}", rule.app, rule.service.as_deref().unwrap_or("-")),
                None => "-".to_owned(),
            };
            if found != expected {
                wrong.push(format!("{host}: {found}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 250, "{cases}");
}
