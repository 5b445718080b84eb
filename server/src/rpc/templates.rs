//! TemplatesService.

use ragstone_proto::v1::templates_service_server::TemplatesService;
use ragstone_proto::v1::{
    DeleteTemplateRequest, DeleteTemplateResponse, GetTemplateRequest, GetTemplateResponse,
    ListTemplatesRequest, ListTemplatesResponse, PreviewTemplateRequest, PreviewTemplateResponse,
    RegisterTemplateRequest, RegisterTemplateResponse, Template,
};
use tonic::{Request, Response, Status};

use super::Services;
use crate::{convert, page, status};

#[tonic::async_trait]
impl TemplatesService for Services {
    async fn register_template(
        &self,
        request: Request<RegisterTemplateRequest>,
    ) -> Result<Response<RegisterTemplateResponse>, Status> {
        let RegisterTemplateRequest { name, source } = request.into_inner();
        self.answer(move |rag| {
            let template = rag.register_template(&name, &source).map_err(of_source)?;
            Ok(RegisterTemplateResponse { template: Some(convert::template(template)) })
        })
        .await
    }

    async fn get_template(
        &self,
        request: Request<GetTemplateRequest>,
    ) -> Result<Response<GetTemplateResponse>, Status> {
        let name = convert::template_name(&request.into_inner().template)?;
        self.answer(move |rag| {
            Ok(GetTemplateResponse { template: Some(convert::template(rag.template(&name)?)) })
        })
        .await
    }

    async fn list_templates(
        &self,
        request: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        let request = request.into_inner();
        let list = page::List::new(&["ListTemplates", &request.name]);
        let (size, after) = (page::size(request.page_size)?, list.key(&request.page_token)?);
        self.answer(move |rag| {
            let name = Some(request.name.as_str()).filter(|name| !name.is_empty());
            // Versions have ten digits in a key, so that keys sort as they do.
            let keyed =
                |template: Template| (format!("{}@{:010}", template.name, template.version), template);
            let all = rag.templates(name).into_iter().map(convert::template).map(keyed).collect();
            let (page, next) = page::cut(all, after.as_deref(), size, |(key, _)| key);
            let head = |(_, template): (String, Template)| Template { source: String::new(), ..template };
            Ok(ListTemplatesResponse {
                templates: page.into_iter().map(head).collect(),
                next_page_token: next.map(|key| list.token(&key)).unwrap_or_default(),
            })
        })
        .await
    }

    async fn delete_template(
        &self,
        request: Request<DeleteTemplateRequest>,
    ) -> Result<Response<DeleteTemplateResponse>, Status> {
        let name = convert::template_name(&request.into_inner().template)?;
        self.answer(move |rag| {
            Ok(DeleteTemplateResponse { deleted: convert::count(rag.delete_template(&name)?) })
        })
        .await
    }

    async fn preview_template(
        &self,
        request: Request<PreviewTemplateRequest>,
    ) -> Result<Response<PreviewTemplateResponse>, Status> {
        let convert::Preview { template, messages, passages, marking } =
            convert::preview(request.into_inner())?;
        self.answer(move |rag| {
            Ok(convert::previewed(rag.preview_template(&template, &messages, &passages, marking)?))
        })
        .await
    }
}

/// A template that is refused is the field `source` where it is registered.
fn of_source(error: ragstone_rag::Error) -> Status {
    match error {
        ragstone_rag::Error::Template { reason } => status::invalid("source", &reason),
        other => status::rag(other),
    }
}
